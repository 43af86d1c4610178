"""The score of noisy images whose manifold is known, and the Bayes classifier that follows from it.

Axes: n images, c classes, k latents, d pixels, m modes. With u ~ N(0, I) and a generator G_y for every class,
p_sigma(x, y) = E_u[w_y(G_y(u)) N(x; G_y(u), sigma^2 I)]. All else is in two numbers per class: its logarithm, and the
posterior mean of the clean image, for grad log p_sigma(x | y) = (E[G_y(u) | x, y] - x) / sigma^2 (Robbins 1956;
Vincent 2011). Both come from importance sampling around the posterior's modes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pags import arguments, data, generate, robustness, strokes, tangent, vae
from pags.artifacts import Artifact, Checkpoint

Decode = Callable[[Tensor], Tensor]
FREEDOM = 20.0  # of the proposal, a t distribution: its tails are heavier than the prior's, so no weight is unbounded


class Family(NamedTuple):
    """One class: a generator (n, k) -> (n, ...), and the log of the weight (n,) that its images carry, if they do.

    `jacobian` (n, k) -> (n, d, k) is the generator's where it is known; else it is computed.
    """

    decode: Decode
    log_weight: Callable[[Tensor], Tensor] | None = None
    jacobian: Callable[[Tensor], Tensor] | None = None


class Exact(NamedTuple):
    """log p(x, y) and E[G | x, y], with their standard errors; the effective share of the draws; the modes found.

    `log_p`, `log_p_error`, `mean_error` (an L2 length) and `ess` are (n, c), `mean` is (n, c, d), `modes` (n, c, m, k).
    """

    log_p: Tensor
    mean: Tensor
    log_p_error: Tensor
    mean_error: Tensor
    ess: Tensor
    modes: Tensor


@dataclass(frozen=True)
class Config:
    """How hard to look.

    From the likeliest of `bank` prior draws, `starts` of them climb for `steps` steps: of the first number of starts
    those that are highest go on as the second, and so on; the last are the modes, looked for in the `classes` likeliest
    classes only. `draws` around them, in each of `rounds`.
    """

    bank: int = 2048
    starts: tuple[int, ...] = (16, 6, 2)
    steps: tuple[int, ...] = (3, 8, 40)
    classes: int = 4
    draws: int = 400
    rounds: int = 2


def stroke_families(size: int = 32) -> list[Family]:
    """The ten classes of the strokes: a renderer each, no weights."""
    render, jacobian = (partial(one, size=size) for one in (strokes.render, strokes.jacobian))
    return [Family(partial(render, digit=y), jacobian=partial(jacobian, digit=y)) for y in range(10)]


def labelled_families(decode: Decode, labeller: nn.Module, classes: int = 10) -> list[Family]:
    """The classes of a data set made by Bordt et al. 2022, Alg. 1: one decoder, kept with probability p_softmax^2.

    The weight is that probability where the label is the class, and zero elsewhere.
    """

    def log_weight(x: Tensor, y: int) -> Tensor:
        log_p, label = labeller(x).log_softmax(1).max(1)
        return torch.where(label == y, 2 * log_p, -math.inf)

    return [Family(decode, partial(log_weight, y=y)) for y in range(classes)]


def log_joint(family: Family, x: Tensor, sigma: float, u: Tensor) -> tuple[Tensor, Tensor]:
    """log [w(G(u)) N(x; G(u), sigma^2 I) N(u; 0, I)] of each pair of x (n, d) and u (n, k), and G(u): (n,), (n, d)."""
    images = family.decode(u)
    g = images.flatten(1)
    d, k = g.shape[1], u.shape[1]
    value = -0.5 * ((x - g) / sigma).square().sum(1) - 0.5 * u.square().sum(1)
    value = value - d * math.log(sigma) - 0.5 * (d + k) * math.log(2 * math.pi)
    return value if family.log_weight is None else value + family.log_weight(images), g


def precision(family: Family, u: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The Jacobian J (n, d, k) of the generator, and Gauss and Newton's precision J'J / sigma^2 + I: (n, k, k)."""
    J = tangent.jacobian(family.decode, u) if family.jacobian is None else family.jacobian(u)
    return J, J.mT @ J / sigma**2 + torch.eye(u.shape[1], dtype=u.dtype, device=u.device)


def climb(
    family: Family, x: Tensor, sigma: float, u: Tensor, *, steps: int, tol: float = 0.02
) -> tuple[Tensor, Tensor]:
    """Modes (n, k) of p(u | x), and the log joint density there, by Levenberg and Marquardt's steps from u (n, k).

    A step is taken where it raises the joint density, weight included; a start ends when a step promises less than
    `tol` nats, or after `steps`. The direction ignores the weight, whose logarithm need not have a gradient.
    """
    u, damping = u.clone(), u.new_full((len(u),), 0.1)
    value, g = log_joint(family, x, sigma, u)
    J, H = precision(family, u, sigma)
    rows = torch.arange(len(u), device=u.device)
    for _ in range(steps):
        slope = (J[rows].mT @ (x[rows] - g[rows])[..., None]).squeeze(-1) / sigma**2 - u[rows]
        damped = H[rows] + torch.diag_embed(damping[rows, None] * H[rows].diagonal(dim1=1, dim2=2))
        step = torch.linalg.solve(damped, slope)
        new, there = log_joint(family, x[rows], sigma, u[rows] + step)
        better = new > value[rows]
        damping[rows] *= torch.where(better, 0.3, 4.0)
        good, going = rows[better], (slope * step).sum(1) > tol
        u[good], value[good], g[good] = u[good] + step[better], new[better], there[better]
        rows, moved = rows[going], rows[going & better]
        if len(rows) == 0:
            break
        if len(moved) > 0:
            J[moved], H[moved] = precision(family, u[moved], sigma)
    return u, value


class Mixture(NamedTuple):
    """A proposal for each of n images: t distributions around m centres (n, m, k), with shares and precisions."""

    centre: Tensor
    precision: Tensor
    share: Tensor

    def draw(self, pairs: int, generator: torch.Generator) -> Tensor:
        """Latents (n, 2 pairs, k); each pair lies symmetrically to the centre that it was drawn around."""
        n, _, k = self.centre.shape
        rows = torch.arange(n, device=self.centre.device)[:, None]
        which = torch.multinomial(self.share.cpu(), pairs, replacement=True, generator=generator).to(rows.device)
        normal = torch.randn(n, pairs, k, generator=generator, dtype=self.centre.dtype).to(self.centre)
        spread = torch.randn(n, pairs, int(FREEDOM), generator=generator, dtype=self.centre.dtype).to(self.centre)
        normal = normal * (FREEDOM / spread.square().sum(2, keepdim=True)).sqrt()
        root = torch.linalg.cholesky(self.precision)[rows, which].mT  # (n, pairs, k, k)
        step = torch.linalg.solve_triangular(root, normal[..., None], upper=True).squeeze(-1)
        centre = self.centre[rows, which]
        return torch.stack([centre + step, centre - step], 2).flatten(1, 2)

    def log_density(self, u: Tensor) -> Tensor:
        """The logarithm (n, draws) of the mixture's density at u (n, draws, k)."""
        k = u.shape[2]
        off = u[:, :, None] - self.centre[:, None]  # (n, draws, m, k)
        size = torch.einsum("ndmk,nmkl,ndml->ndm", off, self.precision, off)
        log_t = 0.5 * torch.logdet(self.precision)[:, None] - 0.5 * (FREEDOM + k) * torch.log1p(size / FREEDOM)
        constant = math.lgamma((FREEDOM + k) / 2) - math.lgamma(FREEDOM / 2) - 0.5 * k * math.log(FREEDOM * math.pi)
        return constant + (self.share.log()[:, None] + log_t).logsumexp(2)


def around(family: Family, x: Tensor, sigma: float, modes: Tensor) -> Mixture:
    """The proposal around modes (n, m, k), their shares flattened: square roots of Laplace's approximation."""
    n, m, _ = modes.shape
    u = modes.flatten(0, 1)
    H = precision(family, u, sigma)[1].unflatten(0, (n, m))
    height = log_joint(family, x.repeat_interleave(m, 0), sigma, u)[0].unflatten(0, (n, m))
    return Mixture(modes, H, (0.5 * (height - 0.5 * torch.logdet(H))).softmax(1))


def refit(mixture: Mixture, u: Tensor, w: Tensor) -> Mixture:
    """The mixture and, with half of the share, a component with the moments of draws u (n, draws, k) of weights w."""
    mean = (w[..., None] * u).sum(1)
    off = u - mean[:, None]
    best = mixture.precision[torch.arange(len(u)), mixture.share.argmax(1)]
    covariance = 0.5 * torch.linalg.inv(best) + 0.5 * (w[..., None] * off).mT @ off
    return Mixture(
        torch.cat([mixture.centre, mean[:, None]], 1),
        torch.cat([mixture.precision, torch.linalg.inv(covariance)[:, None]], 1),
        torch.cat([0.5 * mixture.share, torch.full_like(mean[:, :1], 0.5)], 1),
    )


def integrate(
    family: Family, x: Tensor, sigma: float, modes: Tensor, *, draws: int, rounds: int, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """The (log_p, mean, log_p_error, mean_error, ess) of `Exact` for one class, by importance sampling.

    The draws come in mirrored pairs, so that what is odd around a mode cancels, and the errors are between pairs. Of
    several rounds the last one counts; those before it improve the proposal.
    """
    mixture = around(family, x, sigma, modes)
    for i in range(rounds):
        u = mixture.draw(max(2, draws // 2), generator)  # (n, draws, k)
        n, count, _ = u.shape
        log_f, g = log_joint(family, x.repeat_interleave(count, 0), sigma, u.flatten(0, 1))
        log_w = log_f.unflatten(0, (n, count)) - mixture.log_density(u)
        w = log_w.softmax(1)
        if i + 1 < rounds:
            mixture = refit(mixture, u, w)
    g = g.unflatten(0, (n, count))
    mean = torch.einsum("ns,nsd->nd", w, g)
    off = (w[..., None] * (g - mean[:, None])).unflatten(1, (-1, 2)).sum(2)  # (n, pairs, d)
    share = w.unflatten(1, (-1, 2)).sum(2)
    log_p_error = (share - 1 / share.shape[1]).square().sum(1).sqrt()
    log_p = log_w.logsumexp(1) - math.log(count)
    return log_p, mean, log_p_error, off.square().sum((1, 2)).sqrt(), 1 / w.square().sum(1) / count


def distinct(u: Tensor, value: Tensor, m: int, *, radius: float = 0.3) -> Tensor:
    """The m highest (n, m, k) of candidates u (n, s, k), none within `radius` of a higher one if possible."""
    rows, chosen = torch.arange(len(u), device=u.device), []
    near = (m + 1) * (value == -math.inf).long()  # how many of the chosen are near each candidate; those come last
    for _ in range(m):
        height = torch.where(near == near.amin(1, keepdim=True), value, -math.inf)
        chosen.append(u[rows, height.argmax(1)])
        near += (u - chosen[-1][:, None]).norm(dim=2) < radius
    return torch.stack(chosen, 1)


def contest(
    family: Family, x: Tensor, sigma: float, u: Tensor, value: Tensor, rounds: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """The survivors (n, m, k) of candidates u (n, s, k) of heights `value` (n, s), and their heights (n, m).

    A round (m, steps) keeps the m highest that are distinct and lets them climb.
    """
    for m, steps in rounds:
        u = distinct(u, value, m)
        end, value = climb(family, x.repeat_interleave(m, 0), sigma, u.flatten(0, 1), steps=steps)
        u, value = end.reshape(u.shape), value.reshape(u.shape[:2])
    return u, value


def laplace(family: Family, sigma: float, u: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Laplace's approximation (n,) of log p(x, y) from a mode u (n, k) of height `value` (n,), and the image there."""
    H = precision(family, u, sigma)[1]
    return value + 0.5 * u.shape[1] * math.log(2 * math.pi) - 0.5 * torch.logdet(H), family.decode(u).flatten(1)


@torch.no_grad()
def exact(
    families: Sequence[Family],
    x: Tensor,
    sigma: float,
    *,
    config: Config = Config(),
    k: int = len(strokes.LATENTS),
    modes: Tensor | None = None,
    generator: torch.Generator,
) -> Exact:
    """What is known of the noisy images x (n, ...), noise sigma in pixel units, under every one of the c classes.

    `modes` (n, c, m, k), those of a similar image, save the search. Look at `ess` and at the errors. Where a class is
    too unlikely to be integrated, Laplace's approximation stands, with `ess` 0 and the errors infinite.
    """
    arguments.positive("sigma", sigma)
    x, found, banks = x.flatten(1), [], []
    *early, last = zip(config.starts, config.steps, strict=True)
    for c, family in enumerate(families):
        if modes is None:
            bank = torch.randn(config.bank, k, generator=generator, dtype=x.dtype).to(x)
            images = torch.cat([family.decode(part) for part in bank.split(512)])
            fit = -0.5 * torch.cdist(x, images.flatten(1)).square() / sigma**2
            if family.log_weight is not None:
                fit = fit + family.log_weight(images)
            banks.append(contest(family, x, sigma, bank.expand(len(x), -1, -1), fit, early))
        else:
            start, m = modes[:, c], modes.shape[2]
            banks.append(contest(family, x, sigma, start, torch.zeros_like(start[..., 0]), [(m, early[-1][1])]))
    likely = torch.stack([value.max(1).values for _, value in banks], 1).topk(min(config.classes, len(families)), 1)
    for c, (family, (u, value)) in enumerate(zip(families, banks, strict=True)):
        best = u[torch.arange(len(x)), value.argmax(1)]
        log_p, mean = laplace(family, sigma, best, value.max(1).values)
        unknown = torch.full_like(log_p, math.inf)
        column = [log_p, mean, unknown, unknown.clone(), torch.zeros_like(log_p), u[:, : last[0]].clone()]
        rows = (likely.indices == c).any(1).nonzero().squeeze(1)
        for part in rows.split(16) if len(rows) > 0 else ():
            at, _ = contest(family, x[part], sigma, u[part], value[part], [last])
            new = integrate(family, x[part], sigma, at, draws=config.draws, rounds=config.rounds, generator=generator)
            for old, values in zip(column, (*new, at), strict=True):
                old[part] = values
        found.append(column)
    return Exact(*(torch.stack(one, 1) for one in zip(*found, strict=True)))


@dataclass(frozen=True)
class Study:
    """The first n images as they are, with noise, and moved by `size` of their length on and off the manifold.

    With `again` above 0 the first two once more, at the same noise and with other random numbers of the method.
    """

    n: int
    sigma: float
    size: float = 0.1
    search: Config = Config()
    again: int = 0


VARIANTS = ("clean", "noisy", "on", "off")


def study(
    config: Study,
    images: data.Dataset,
    *made: Artifact,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Every `Exact` of the first images of a data set, by variant: "clean.log_p" and so on, "clean.x" the images.

    Strokes are known by themselves; for a data set that was drawn from a decoder, `made` are the artifacts of its
    manifold and of its labelling function.
    """
    images = images.first(config.n)
    x, y, u = (part.to(device) for part in (images.x, images.y, data.latents(images)))
    if made:
        decode = vae.load(made[0], device).decode
        families = labelled_families(decode, generate.load_labeller(made[1], device))
        basis = tangent.tangent_basis(decode, u)
    else:
        families, basis = stroke_families(x.shape[-1]), strokes.tangent_basis(u, y, x.shape[-1])
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(x.shape, generator=generator).to(device)
    on, off = robustness.on_and_off(basis, x, size=config.size, generator=generator)
    variants = dict(zip(VARIANTS, (x, x + config.sigma * noise, x + on, x + off), strict=True))
    if config.again > 0:
        variants = {name: variants[name] for name in VARIANTS[:2]}
    generator = torch.Generator().manual_seed(1_000_003 * seed + config.again + 1)
    tensors, modes = {"basis": basis}, None
    for name, at in variants.items():
        known = exact(
            families,
            at,
            config.sigma,
            config=config.search,
            k=u.shape[1],
            modes=modes if name in ("on", "off") else None,
            generator=generator,
        )
        modes = known.modes if name == "clean" else modes
        tensors |= {f"{name}.{field}": value for field, value in known._asdict().items()} | {f"{name}.x": at}
    return tensors, {}


def found(artifact: Artifact, variant: str) -> tuple[Tensor, Exact]:
    """One variant of a `study`: its images (n, ...), and what is known of them."""
    tensors = artifact.tensors
    return tensors[f"{variant}.x"], Exact(*(tensors[f"{variant}.{field}"] for field in Exact._fields))


def conditional(known: Exact, x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """grad log p_sigma(x | y), in the shape of the images x (n, ...)."""
    y = arguments.labels("y", y, len(x), known.log_p.shape[1])
    return (known.mean[torch.arange(len(x)), y].reshape(x.shape) - x) / sigma**2


def unconditional(known: Exact, x: Tensor, sigma: float) -> Tensor:
    """grad log p_sigma(x), in the shape of the images x (n, ...)."""
    return (torch.einsum("nc,ncd->nd", known.log_p.softmax(1), known.mean).reshape(x.shape) - x) / sigma**2


def bayes_gradient(known: Exact, y: Tensor, sigma: float) -> Tensor:
    """Gradient (n, d) of the Bayes classifier's log odds log p(y | x) / (1 - p(y | x)).

    It has the direction of the gradients of p(y | x) and of its logarithm, but does not vanish where the classifier is
    sure. The image cancels: what the class expects minus what its rivals expect, over sigma^2.
    """
    n, classes = known.log_p.shape
    if classes < 2:
        raise ValueError("odds need two classes, and there is one")
    y, rows = arguments.labels("y", y, n, classes), torch.arange(n)
    others = known.log_p.scatter(1, y[:, None], -math.inf).softmax(1)
    return (known.mean[rows, y] - torch.einsum("nc,ncd->nd", others, known.mean)) / sigma**2
