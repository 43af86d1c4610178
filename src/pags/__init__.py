"""pags: what the chapters of this book share. The name is short for perceptually aligned gradients."""

import warnings

__version__ = "0.1.0"
PRESETS = ("quick", "standard", "paper")  # every chapter has its settings in these three sizes

# torchvision compiles one of its own functions at import by a call that torch has deprecated; nothing here can help it.
warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated", category=FutureWarning)
