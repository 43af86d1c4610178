"""pags: what the chapters of this book share. The name is short for perceptually aligned gradients."""

import warnings

from pags.errors import UsageError

__version__ = "0.1.0"
PRESETS = ("quick", "standard", "gpu", "paper")  # every chapter has its settings in these sizes
LARGEST_SEED = 2**31 - 1  # torch's generators read 32 bits of a seed, and some that are made of it are twice as large


def preset_named(name: str) -> str:
    """The name of a preset, if it is one; else a UsageError."""
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}: write one of {', '.join(PRESETS)}")
    return name


# torchvision compiles one of its own functions at import by a call that torch has deprecated; nothing here can help it.
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
