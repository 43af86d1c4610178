"""The beta-TCVAE that estimates the image manifold: network, loss, training.

Axes: n examples, k latents; images are (n, 1, 32, 32) with pixels in [0, 1]. Losses are in nats per image.
Architecture: Burgess et al. 2017; loss: Chen et al. 2018; settings: Bordt et al. 2022, A.1, and the released model's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import train
from pags.artifacts import Artifact, Checkpoint
from pags.data import Dataset, fingerprint
from pags.errors import UsageError

ACTIVE = 0.05  # nats: a latent whose mean KL is larger is active, any other one has collapsed

# The layers of `VAE.encoder` and `VAE.decoder` under the names of the released code, YannDubs/disentangling-vae.
RELEASED = {
    "encoder": {"conv1": 0, "conv2": 2, "conv3": 4, "lin1": 7, "lin2": 9, "mu_logvar_gen": 11},
    "decoder": {"lin1": 0, "lin2": 2, "lin3": 4, "convT1": 7, "convT2": 9, "convT3": 11},
}


@dataclass(frozen=True)
class Config:
    """Latent dimension, weight of the total correlation, its estimator, and how long to train."""

    latents: int
    schedule: train.Schedule
    beta: float = 6.0
    corrected: bool = False
    anneal: int = 10_000


class VAE(nn.Module):
    """Encoder to mean and log-variance of k latents, decoder to the logits of 32 x 32 pixels."""

    def __init__(self, latents: int):
        super().__init__()
        self.latents = latents
        conv, deconv = (lambda a, b: nn.Conv2d(a, b, 4, 2, 1)), (lambda a, b: nn.ConvTranspose2d(a, b, 4, 2, 1))
        self.encoder = nn.Sequential(
            *[conv(1, 32), nn.ReLU(), conv(32, 32), nn.ReLU(), conv(32, 32), nn.ReLU(), nn.Flatten()],
            *[nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2 * latents)],
        )
        self.decoder = nn.Sequential(
            *[nn.Linear(latents, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU()],
            *[nn.Unflatten(1, (32, 4, 4)), deconv(32, 32), nn.ReLU(), deconv(32, 32), nn.ReLU(), deconv(32, 1)],
        )
        for module in self.modules():  # without this initialisation most latents die (measured in chapter 02)
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), each (n, k)."""
        return self.encoder(x).chunk(2, dim=1)

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, 1, 32, 32) at the latents z (n, k): the map whose Jacobian spans the tangent space."""
        return self.decoder(z).sigmoid()


def sample(mu: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    """A draw z ~ q(z | x) for each example, (n, k), by the reparameterisation trick."""
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype).to(mu.device)
    return mu + (0.5 * logvar).exp() * noise


def log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """Log-density of a normal, elementwise."""
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu) ** 2 / logvar.exp())


def kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(q(z_j | x) || N(0, 1)) for each example and latent, (n, k), in nats. Zero: the latent carries nothing."""
    return 0.5 * (mu**2 + logvar.exp() - logvar - 1)


def stratified_weights(n: int, data: int) -> Tensor:
    """Weights W (n, n) with which sum_j W_ij q(z | x_j) is unbiased for q(z) over `data` examples, i in the batch.

    Row i gives its own example 1 / data, one other the remainder, all further ones 1 / (n - 1), so each row sums to 1
    (minibatch stratified sampling, Chen et al. 2018, C.2). ValueError for one example alone: it has no others.
    """
    m = _others(n)
    weights = torch.full((n, n), 1 / m)
    rows = torch.arange(n)
    weights[rows, rows] = 1 / data
    weights[rows, (rows + 1) % n] = (data - m) / (data * m)
    return weights


def released_weights(n: int, data: int) -> Tensor:
    """The weights (n, n) of the released code: 1 / data stands in the first column instead of on the diagonal."""
    m = _others(n)
    weights = torch.full((n, n), 1 / m)
    weights[:, 0] = 1 / data
    weights[:, 1] = weights[m - 1, 0] = (data - m) / (data * m)
    return weights


def _others(n: int) -> int:
    if n < 2:
        raise ValueError(f"a batch of {n}: the estimate of q(z) needs at least two examples")
    return n - 1


def log_aggregate(z: Tensor, mu: Tensor, logvar: Tensor, data: int, corrected: bool) -> tuple[Tensor, Tensor]:
    """Estimates of log q(z) and of sum_j log q(z_j) at each of the batch's samples, (n,) each.

    The released code adds the log-weights within every latent before it sums over latents, so that log q(z) counts
    them k times; `corrected` counts them once and puts them on the diagonal.
    """
    n, k = z.shape
    log_q = log_normal(z[:, None], mu[None], logvar[None])  # (n, n, k)
    log_w = (stratified_weights if corrected else released_weights)(n, data).log().to(z)
    joint = log_q.sum(2) + (log_w if corrected else k * log_w)
    return joint.logsumexp(1), (log_q + log_w[..., None]).logsumexp(1).sum(1)


def decomposition(z: Tensor, mu: Tensor, logvar: Tensor, data: int, corrected: bool) -> dict[str, Tensor]:
    """The KL term of the ELBO in its three parts, in nats: mutual information, total correlation, latent-wise KL."""
    log_q_zx, log_p = log_normal(z, mu, logvar).sum(1), log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
    log_q, log_q_product = log_aggregate(z, mu, logvar, data, corrected)
    return {
        "information": (log_q_zx - log_q).mean(),
        "correlation": (log_q - log_q_product).mean(),
        "marginal": (log_q_product - log_p).mean(),
    }


def reconstruction(vae: VAE, x: Tensor, z: Tensor) -> Tensor:
    """-log p(x | z) per image, (n,): Bernoulli cross-entropy summed over the pixels, in nats."""
    return F.binary_cross_entropy_with_logits(vae.decoder(z), x, reduction="none").flatten(1).sum(1)


def objective(config: Config, data: int):
    """The beta-TCVAE loss: reconstruction + information + beta correlation + (annealed) marginal KL."""

    def loss(vae: VAE, x: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        mu, logvar = vae.encode(x)
        z = sample(mu, logvar, generator)
        parts = decomposition(z, mu, logvar, data, config.corrected)
        recon, ramp = reconstruction(vae, x, z).mean(), min(1.0, step / config.anneal)
        total = recon + parts["information"] + config.beta * parts["correlation"] + ramp * parts["marginal"]
        return {"loss": total, "reconstruction": recon, "kl": kl(mu, logvar).sum(1).mean(), **parts}

    return loss


def fit(
    config: Config, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on the images of a data set: (state dict, {"history": a dict of means per epoch}).

    UsageError for images of another shape, and for batches of one image: the loss compares those of a batch.
    """
    if images.x.shape[1:] != (1, 32, 32):
        raise UsageError(f"data {images.name!r}: the VAE's images are grey, 32 x 32, not {tuple(images.x.shape[1:])}")
    if min(config.schedule.batch, len(images.x)) < 2:
        raise UsageError(
            f"batch = {config.schedule.batch}, n = {len(images.x)}: the VAE's loss needs two images a batch"
        )
    with train.seeded(seed):
        vae = VAE(config.latents)
    vae.to(device).to(memory_format=torch.channels_last)  # a step on a CPU takes a seventh less; only roundings change
    name = f"VAE, {config.latents} latents, {'corrected' if config.corrected else 'released'} estimator"
    history = train.fit(
        vae,
        objective(config, len(images.x)),
        (images.x,),
        config.schedule,
        seed=seed,
        label=name,
        checkpoint=checkpoint,
    )
    return vae.state_dict(), {"history": history, "latents": config.latents}


def released(weights: Mapping[str, Tensor]) -> Artifact:
    """The VAE of a released state dict (`data.btcvae`) in the form in which `fit` leaves one: for `load`.

    Means and log-variances alternate in the released encoder's last layer; here all means stand first.
    """
    k = len(weights["encoder.mu_logvar_gen.bias"]) // 2
    order = torch.arange(2 * k).reshape(k, 2).T.flatten()
    tensors = {}
    for half, layers in RELEASED.items():
        for name, place in layers.items():
            for kind in ("weight", "bias"):
                tensor = weights[f"{half}.{name}.{kind}"]
                tensors[f"{half}.{place}.{kind}"] = tensor[order] if name == "mu_logvar_gen" else tensor
    return Artifact(tensors, {"latents": k}, fingerprint(tensors.values()))


def load(artifact: Artifact, device: torch.device = torch.device("cpu")) -> VAE:
    """The trained VAE in evaluation mode, its parameters frozen."""
    vae = VAE(artifact.info["latents"])
    vae.load_state_dict(artifact.tensors)
    return vae.to(device).eval().requires_grad_(False)


@torch.no_grad()
def evaluate(vae: VAE, x: Tensor, *, generator: torch.Generator, batch: int = 1000) -> dict[str, Tensor]:
    """Held-out reconstruction (n,) at a sampled z, and KL per latent (n, k), in nats."""
    mu, logvar = (torch.cat(parts) for parts in zip(*(vae.encode(part) for part in x.split(batch)), strict=True))
    z = sample(mu, logvar, generator)  # at once: what is drawn in several batches depends on their size
    recon = [reconstruction(vae, *parts) for parts in zip(x.split(batch), z.split(batch), strict=True)]
    return {"reconstruction": torch.cat(recon), "kl": kl(mu, logvar)}


@torch.no_grad()
def active(vae: VAE, x: Tensor, *, batch: int = 1000) -> int:
    """How many latents are active at the images x, on any device: their mean KL exceeds `ACTIVE`."""
    device = next(vae.parameters()).device
    kls = torch.cat([kl(*vae.encode(part.to(device))) for part in x.split(batch)])
    return int((kls.mean(0) > ACTIVE).sum())
