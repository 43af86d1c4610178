"""Tangent spaces of a decoder's image, and how much of a vector lies inside.

Axes: n examples, d pixels, k latents. A basis is (n, d, k) with orthonormal columns; where the Jacobian has rank r < k
the last k - r columns are zero, so that projections stay right and shapes stay fixed.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.special import betaln
from torch import Tensor

from pags import attack

RTOL = 1e-4  # singular values below RTOL times the largest count as zero


def jacobian(decode: Callable[[Tensor], Tensor], z: Tensor, *, chunk: int = 64) -> Tensor:
    """Jacobian (n, d, k) of `decode`: (n, k) -> (n, ...) at z, by k forward-mode passes over all examples.

    `decode` must treat the examples independently: a net in evaluation mode. The papers' code runs d backward passes.
    """
    one_hot = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)

    def columns(part: Tensor) -> Tensor:
        def column(e: Tensor) -> Tensor:
            return torch.func.jvp(decode, (part,), (e.expand_as(part),))[1]

        return torch.func.vmap(column, out_dims=-1)(one_hot).flatten(1, -2)  # (chunk, d, k)

    with torch.no_grad():
        return torch.cat([columns(part) for part in z.split(chunk)])


def orthonormalize(jac: Tensor, *, rtol: float = RTOL) -> Tensor:
    """Orthonormal basis (n, d, k) of the column space of each Jacobian (n, d, k), strongest direction first.

    An SVD by way of QR, with an explicit rank threshold: QR alone fills the place of a collapsed latent with an
    arbitrary direction.
    """
    q, r = torch.linalg.qr(jac)
    u, s, _ = torch.linalg.svd(r)
    return q @ (u * (s > rtol * s[:, :1])[:, None])


def tangent_basis(decode: Callable[[Tensor], Tensor], z: Tensor, *, rtol: float = RTOL, chunk: int = 64) -> Tensor:
    """Orthonormal basis (n, d, k) of the tangent space at decode(z), latents z (n, k) (Bordt et al. 2022, Alg. 1)."""
    return torch.cat([orthonormalize(jacobian(decode, part, chunk=chunk), rtol=rtol) for part in z.split(chunk)])


def singular_values(jac: Tensor) -> Tensor:
    """Singular values (n, k) of each Jacobian (n, d, k), largest first, in pixel units per unit of latent."""
    return torch.linalg.svdvals(torch.linalg.qr(jac).R)


def rank(basis: Tensor) -> Tensor:
    """Number of directions (n,) in each basis (n, d, k)."""
    return basis.square().sum(dim=(1, 2)).round().long()


def project(basis: Tensor, v: Tensor) -> Tensor:
    """The part of v (n, ...) inside the span of `basis` (n, d, k), in the shape of v."""
    flat = v.flatten(1)[..., None]
    return (basis @ (basis.mT @ flat)).reshape(v.shape)


def fraction_in(basis: Tensor, v: Tensor) -> Tensor:
    """Share of v's length inside the span of `basis` (n, d, k), per example: (n,), in [0, 1]; nan where v is zero.

    Chance level for a random direction is about sqrt(k / d): `chance_level`. Source: Bordt et al. 2022, Eq. 1.
    """
    v = attack.balanced(v).flatten(1)  # of short ones, too
    return (basis.mT @ v[..., None]).squeeze(-1).norm(dim=1) / v.norm(dim=1)


def chance_level(k: int, d: int) -> float:
    """Exact mean of `fraction_in` for a random direction: E sqrt(B), B ~ Beta(k / 2, (d - k) / 2); 1 if k = d.

    A ratio of Gamma functions, a little below sqrt(k / d) (Jensen): 0.0964 instead of 0.0988 for k = 10, d = 1024.
    """
    if not 0 < k <= d:
        raise ValueError(f"k = {k}, d = {d}: a tangent space of dimension k in d pixels needs 0 < k <= d")
    if k == d:
        return 1.0
    return float(torch.tensor(betaln((k + 1) / 2, (d - k) / 2) - betaln(k / 2, (d - k) / 2)).double().exp())


def principal_angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles in degrees (n, k), smallest first, between the spans of two bases (n, d, k); missing directions give 90.

    Zero everywhere: the same space. Two random k-dimensional spaces in d >> k pixels are nearly orthogonal.
    """
    return torch.linalg.svdvals(a.mT @ b).clamp(max=1).arccos().rad2deg()


def upsample(v: Tensor, size: int) -> Tensor:
    """Bilinear upsampling of images (n, c, h, w) to (n, c, size, size): linear, so Jacobians go the same way."""
    return F.interpolate(v, size=(size, size), mode="bilinear", align_corners=False)


def upsample_jacobian(jac: Tensor, size: int) -> Tensor:
    """Jacobian (n, size^2, k) of the upsampled decoder from that of the decoder (n, d, k) with square grey images."""
    n, d, k = jac.shape
    side = round(d**0.5)
    columns = jac.mT.reshape(n, k, side, side)
    return upsample(columns, size).flatten(2).mT
