"""The embedded data set: digits drawn with a pen whose every movement is known.

Axes: n examples, k = 10 latents, s points along the pen's path; images are (n, 1, size, size) in [0, 1]. A digit is
a handful of cubic splines in the unit square (y downwards). Ten standard normal latents bend, turn and move it, and
`render` draws it smoothly, so the tangent space of the image manifold is known exactly: it is the span of the
renderer's Jacobian.
"""

import functools
import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from pags import tangent

LATENTS = ("bend x", "bend y", "swell", "twist", "rotation", "shear", "size", "shift x", "shift y", "thickness")

# One standard deviation of each latent: displacements in units of the digit's height, angles in radians, logs of scale.
SPREAD = (0.05, 0.045, 0.04, 0.04, 0.12, 0.16, 0.09, 0.035, 0.035, 0.16)

# Control points (x, y) of each stroke; the spline passes through all of them.
TEMPLATES = (
    [[(0.50, 0.00), (0.16, 0.22), (0.14, 0.72), (0.50, 1.00), (0.86, 0.76), (0.84, 0.24), (0.50, 0.00)]],
    [[(0.32, 0.20), (0.44, 0.10), (0.54, 0.00), (0.53, 0.35), (0.52, 0.70), (0.52, 1.00)]],
    [[(0.16, 0.20), (0.46, 0.00), (0.80, 0.18), (0.66, 0.52), (0.14, 0.97), (0.50, 0.92), (0.88, 0.95)]],
    [[(0.18, 0.08), (0.60, 0.02), (0.74, 0.24), (0.42, 0.46), (0.80, 0.66), (0.62, 0.97), (0.14, 0.90)]],
    [
        [(0.30, 0.02), (0.22, 0.32), (0.18, 0.58), (0.52, 0.57), (0.88, 0.55)],
        [(0.70, 0.12), (0.67, 0.55), (0.62, 1.00)],
    ],
    [[(0.82, 0.02), (0.50, 0.03), (0.28, 0.04), (0.22, 0.42), (0.60, 0.40), (0.82, 0.68), (0.54, 0.98), (0.16, 0.90)]],
    [[(0.68, 0.00), (0.34, 0.30), (0.20, 0.72), (0.50, 1.00), (0.78, 0.76), (0.54, 0.54), (0.24, 0.72)]],
    [[(0.14, 0.08), (0.50, 0.05), (0.86, 0.06), (0.62, 0.40), (0.46, 0.72), (0.38, 1.00)]],
    [
        [
            *[(0.52, 0.48), (0.22, 0.26), (0.50, 0.00), (0.78, 0.24), (0.50, 0.48), (0.18, 0.76)],
            *[(0.50, 1.00), (0.84, 0.76), (0.52, 0.48)],
        ]
    ],
    [[(0.76, 0.24), (0.46, 0.00), (0.22, 0.26), (0.46, 0.48), (0.76, 0.24), (0.74, 0.60), (0.66, 1.00)]],
)


def catmull_rom(control: Tensor, per_segment: int) -> Tensor:
    """Points (s, 2) on the cubic spline through the control points (m, 2), `per_segment` to each piece and the end."""
    padded = torch.cat([2 * control[:1] - control[1:2], control, 2 * control[-1:] - control[-2:-1]])
    t = torch.arange(per_segment, dtype=control.dtype)[:, None] / per_segment
    pieces = []
    for a, b, c, d in padded.unfold(0, 4, 1).mT.unbind(0):
        pieces.append(b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))))
    return torch.cat([*pieces, control[-1:]])


@functools.cache
def pen_path(digit: int, per_segment: int = 16) -> tuple[Tensor, Tensor]:
    """The digit's undeformed path, centred on the origin and 1 high: points (s, 2), and which (s,) start a stroke."""
    strokes = [catmull_rom(torch.tensor(stroke, dtype=torch.float64), per_segment) for stroke in TEMPLATES[digit]]
    starts = torch.cat([torch.arange(len(stroke)) == 0 for stroke in strokes])
    return torch.cat(strokes) - 0.5, starts


def deform(path: Tensor, u: Tensor) -> Tensor:
    """The path (s, 2) moved by the first nine latents of u (k,): four smooth bends, then turn, slant, size, shift."""
    a = u * torch.tensor(SPREAD, dtype=u.dtype, device=u.device)
    x, y = path.unbind(1)
    dx = a[0] * torch.cos(2 * math.pi * y) + a[2] * 4 * x * (0.25 - y**2) + a[3] * torch.sin(2 * math.pi * y)
    dy = a[1] * torch.cos(2 * math.pi * x) + a[3] * torch.sin(2 * math.pi * x)
    x, y = x + dx, y + dy
    x, y = x - a[5] * y, y
    cos, sin, size = torch.cos(a[4]), torch.sin(a[4]), torch.exp(a[6])
    return torch.stack([size * (cos * x - sin * y) + a[7], size * (sin * x + cos * y) + a[8]], dim=1)


def draw(u: Tensor, digit: int, size: int = 32) -> Tensor:
    """One image (1, size, size) at the latents u (k,), smooth in u to all orders.

    The pen leaves ink 1 - exp(-density); a pixel's density is the integral, along the path, of a Gaussian around the
    pen. The Gaussian factorises over rows and columns, so drawing is one matrix product.
    """
    path, starts = pen_path(digit)
    points = 0.62 * size * deform(path.to(u), u) + 0.5 * (size - 1)  # in pixels
    width = 0.026 * size * torch.exp(u[9] * SPREAD[9])
    pieces = (points[1:] - points[:-1]).square().sum(1).add(1e-12).sqrt() * ~starts[1:].to(u.device)
    length = 0.5 * (torch.cat([pieces, pieces.new_zeros(1)]) + torch.cat([pieces.new_zeros(1), pieces]))
    grid = torch.arange(size, dtype=u.dtype, device=u.device)
    columns, rows = (torch.exp(-0.5 * ((grid - points[:, i, None]) / width) ** 2) for i in (0, 1))  # (s, size) each
    density = rows.mT @ (columns * (2 * length / width)[:, None])
    return (1 - torch.exp(-density))[None]


def render(u: Tensor, digit: int, size: int = 32) -> Tensor:
    """Images (n, 1, size, size) of one digit at the latents u (n, k); its Jacobian spans the tangent space."""
    return torch.func.vmap(lambda one: draw(one, digit, size))(u)


def jacobian(u: Tensor, digit: int, size: int = 32) -> Tensor:
    """`tangent.jacobian` of `render` at the latents u (n, k), written out: (n, size^2, k).

    Two times as fast for many latents, eight times for four: AD spends its time between the small operations of `draw`.
    """
    spread = torch.tensor(SPREAD, dtype=u.dtype, device=u.device)
    path, starts = pen_path(digit)
    x, y = path.to(u).unbind(1)
    none = torch.zeros_like(x)
    cos_x, sin_x, cos_y, sin_y = (f(2 * math.pi * v) for v in (x, y) for f in (torch.cos, torch.sin))
    bent = [[cos_y, none, 4 * x * (0.25 - y**2), sin_y], [none, cos_x, none, sin_x]]
    dx, dy = (torch.stack([*columns, *[none] * 6], 1).expand(len(u), -1, -1) for columns in bent)  # (n, s, k)
    a = (u * spread)[:, None]  # (n, 1, k)
    x, y = (v + (d * a).sum(2) for v, d in ((x, dx), (y, dy)))  # (n, s)
    one = torch.eye(len(LATENTS), dtype=u.dtype, device=u.device)
    x, dx = x - a[..., 5] * y, dx - a[..., 5, None] * dy - y[..., None] * one[5]
    cos, sin, scale = torch.cos(a[..., 4]), torch.sin(a[..., 4]), 0.62 * size * torch.exp(a[..., 6])  # (n, 1) each
    points, moves = [], []
    for p, q, sign, shift in ((x, y, -1, 7), (y, x, 1, 8)):
        dp, dq = (dx, dy) if p is x else (dy, dx)
        turned = scale * (cos * p + sign * sin * q)
        move = (scale * cos)[..., None] * dp + (sign * scale * sin)[..., None] * dq
        move = move + (scale * (sign * cos * q - sin * p))[..., None] * one[4] + turned[..., None] * one[6]
        points.append(turned + 0.62 * size * a[..., shift] + 0.5 * (size - 1))
        moves.append(move + 0.62 * size * one[shift])
    width = 0.026 * size * torch.exp(a[..., 9])  # (n, 1)
    steps = [v[:, 1:] - v[:, :-1] for v in points]
    inked = ~starts[1:].to(u.device)
    pieces = (steps[0] ** 2 + steps[1] ** 2 + 1e-12).sqrt()
    dpieces = sum(v[..., None] * (d[:, 1:] - d[:, :-1]) for v, d in zip(steps, moves, strict=True)) / pieces[..., None]
    pieces, dpieces = pieces * inked, dpieces * inked[:, None]
    before, after = (0, 0, 1, 0), (0, 0, 0, 1)
    length = 0.5 * (F.pad(pieces, (1, 0)) + F.pad(pieces, (0, 1)))
    dlength = 0.5 * (F.pad(dpieces, before) + F.pad(dpieces, after))
    ink = (2 * length / width)[..., None]  # (n, s, 1)
    dink = 2 * dlength / width[..., None] - ink * one[9]
    grid = torch.arange(size, dtype=u.dtype, device=u.device)
    (zc, columns), (zr, rows) = (
        (z, torch.exp(-0.5 * z**2)) for z in ((grid - v[..., None]) / width[..., None] for v in points)
    )  # (n, s, size) each
    across, along = ((d / width[..., None]).unsqueeze(2) for d in moves)  # (n, s, 1, k)
    sideways = (columns * zc * ink)[..., None] * across + columns[..., None] * dink.unsqueeze(2)
    sideways = sideways + (columns * zc**2 * ink)[..., None] * one[9]
    upwards = (columns * ink)[..., None] * along
    thicker = (rows * zr**2).mT @ (columns * ink)
    change = rows.mT @ sideways.flatten(2) + (rows * zr).mT @ upwards.flatten(2)
    change = change.unflatten(2, (size, -1)) + thicker[..., None] * one[9]  # (n, size, size, k)
    density = rows.mT @ (columns * ink)
    return (torch.exp(-density)[..., None] * change * spread).flatten(1, 2)


def make(n: int, *, generator: torch.Generator, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    """A balanced data set: images (n, 1, size, size), digits (n,), latents (n, k), in random order."""
    y = torch.arange(n)[torch.randperm(n, generator=generator)] % 10
    u = torch.randn(n, len(LATENTS), generator=generator)
    x = u.new_empty(n, 1, size, size)
    for digit in y.unique().tolist():  # fewer than ten examples do not show all
        for rows in (y == digit).nonzero().squeeze(1).split(500):
            x[rows] = render(u[rows], digit, size)
    return x, y, u


def tangent_basis(u: Tensor, y: Tensor, size: int = 32) -> Tensor:
    """Exact orthonormal tangent basis (n, size^2, k) at the images with latents u (n, k) and digits y (n,)."""
    basis = u.new_empty(len(u), size**2, u.shape[1])
    for digit in y.unique().tolist():
        rows = y == digit
        basis[rows] = tangent.tangent_basis(partial(render, digit=digit, size=size), u[rows])
    return basis
