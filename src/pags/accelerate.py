"""What the training loop does otherwise on a GPU, so that no step waits for the CPU.

Images lie channels last, passes may run in bfloat16 (parameters and their updates stay in float32), and random numbers,
dropout's among them, come from generators of the device that are set once an epoch (by `difference` once a step). The
order of the examples is that of a CPU. Two trainings differ in roundings: kernels are chosen by speed, and some add in
any order.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pags.randomness import epoch_seed

# Importing this sets, for the whole process, how cuDNN computes outside of trainings. TF32 costs a decoder's tangents a
# tenth. And what is trained on images that a decoder draws is looked up by their content: drawn again by the same kind
# of GPU they are the same.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True


def prepare(net: nn.Module, data: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """Lay out the net, in place, and the data as convolutions want them; returns the data on the device."""
    if any(parameter.dim() == 4 for parameter in net.parameters()):
        net.to(memory_format=torch.channels_last)
    data = tuple(part.to(device) for part in data)
    return tuple(part.contiguous(memory_format=torch.channels_last) if part.dim() == 4 else part for part in data)


def batches(plan: Iterator[tuple], device: torch.device, *, seed: int) -> Iterator[tuple]:
    """The steps of `train.batches` with their rows on the device and a generator of the device, set once an epoch."""
    generator, current = torch.Generator(device), None
    for epoch, step, rows, _ in plan:
        if epoch != current:
            current = epoch
            generator.manual_seed(epoch_seed(seed, epoch))
            torch.manual_seed(epoch_seed(seed, epoch))  # of every device: dropout's
        if device.type == "cuda":
            rows = rows.pin_memory().to(device, non_blocking=True)
        yield epoch, step, rows, generator


@contextmanager
def passes(device: torch.device, *, half: bool) -> Iterator[None]:
    """Around a pass: in bfloat16 if `half`."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        yield


@contextmanager
def loop(device: torch.device) -> Iterator[None]:
    """Around a training: the fastest kernels, TF32 where passes are in float32, and generators put back at the end."""
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32, cudnn.deterministic
    cudnn.benchmark, cudnn.allow_tf32, cudnn.deterministic = True, True, False
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        cudnn.benchmark, cudnn.allow_tf32, cudnn.deterministic = before
