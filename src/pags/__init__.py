"""pags: what the chapters of this book share. The name is short for perceptually aligned gradients."""

__version__ = "0.1.0"
