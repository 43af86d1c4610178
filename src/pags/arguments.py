"""Checks of what a function is given, each with one message: a ValueError that says what to write. Axes: n images."""

import math

import torch
from torch import Tensor


def share(name: str, value: float) -> float:
    """The value, if it is a share or a probability, in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} = {value}: write a number from 0 to 1")
    return value


def positive(name: str, value: float) -> float:
    """The value, if it is finite and larger than zero."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name} = {value}: write a number above zero")
    return value


def each(name: str, value: Tensor, n: int, shape: tuple[int, ...] = ()) -> Tensor:
    """The value for each of n images, (n, *shape); one for all of them, (*shape) or (1, *shape), is repeated."""
    if value.shape in (shape, (1, *shape)):
        return value.expand(n, *shape)
    if value.shape != (n, *shape):
        given, wanted, shape = tuple(value.shape), (n, *shape), tuple(shape)
        raise ValueError(f"{name} has the shape {given}: write {wanted}, one for each image, or {shape}, one for all")
    return value


def labels(name: str, value: Tensor | int, n: int, classes: int) -> Tensor:
    """The label of each of n images, (n,), in 0..classes - 1; one for all of them is repeated."""
    value = each(name, torch.as_tensor(value), n)
    if value.is_floating_point() or value.dtype == torch.bool:
        raise ValueError(f"{name} is of the type {value.dtype}: write whole numbers, the classes")
    if n > 0 and not 0 <= int(value.min()) <= int(value.max()) < classes:
        ends = f"{int(value.min())} to {int(value.max())}"
        raise ValueError(f"{name} runs from {ends}: write classes from 0 to {classes - 1}")
    return value.long()
