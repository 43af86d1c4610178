"""Random numbers shaped like images, drawn where the generator is: one of the CPU gives every device the same."""

import torch
from torch import Tensor


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch of a training with this seed: far from those of trainings with neighbouring seeds."""
    return 1_000_003 * seed + epoch


def normal(x: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape and type of x, on its device."""
    return torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)


def uniform(x: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers uniform on [0, 1) in the shape and type of x, on its device."""
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
