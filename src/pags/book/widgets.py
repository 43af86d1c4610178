"""Sliders: `frames` works on a static page, from the keyboard and without a network; `explore` needs a live kernel.

A static slider is one or two labelled <input type=range> over pictures that were computed beforehand.
"""

import base64
import io
import math
import os
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pags.book import figures, plot


def frames(
    pictures: Tensor | Sequence[Figure],
    labels: Sequence | tuple[Sequence, Sequence],
    *,
    alt: str,
    label: str | tuple[str, str],
    caption: str,
    anchor: str | None = None,
    start: int | tuple[int, int] | None = None,
    symmetric: bool = False,
    width: int = 288,
) -> None:
    """A slider over pictures (n, h, w) or (n, 3, h, w), or a list of figures; over a grid (a, b, h, w) two sliders.

    `labels` are the slider's values and `label` its name; for a grid both are pairs. Values are grey in [0, 1], or
    signed when `symmetric` (red positive, blue negative, one range for all). `width` is in CSS pixels, as shown.
    `caption` is MyST, `anchor` is for {numref}.
    """
    grid = not isinstance(label, str)
    names, values = (label, labels) if grid else ((label,), (labels,))
    values = [[str(value) for value in row] for row in values]
    drawn = not isinstance(pictures, Tensor)
    if isinstance(pictures, Tensor):
        sources = [_png(frame) for frame in _pixels(pictures.flatten(0, 1) if grid else pictures, symmetric)]
    else:
        sources = [figures.data_uri(plot.svg(fig)) for fig in pictures]
    if len(sources) != math.prod(map(len, values)):
        raise ValueError(f"{len(sources)} pictures do not fill {' x '.join(str(len(row)) for row in values)} labels")
    first = [len(row) // 2 for row in values] if start is None else np.atleast_1d(start).tolist()
    slider = {"frames": sources, "names": list(names), "values": values, "start": first}
    figures.display(slider | {"width": None if drawn else width, "alt": alt, "caption": caption, "label": anchor})


def explore(function: Callable, **ranges) -> None:
    """`ipywidgets.interact(function, **ranges)` in a live notebook, nothing on a static page: there `frames` serves."""
    from IPython import get_ipython

    if os.environ.get("PAGS_STATIC") or not hasattr(get_ipython(), "kernel"):
        return
    from ipywidgets import interact

    interact(function, **ranges)


def _pixels(pictures: Tensor, symmetric: bool) -> np.ndarray:
    """Pictures (n, h, w) or (n, c, h, w) as bytes: grey (n, h, w) or colour (n, h, w, 3)."""
    array = pictures.detach().cpu().double().numpy()
    if array.ndim == 4:
        array = array[:, 0] if array.shape[1] == 1 else np.moveaxis(array, 1, -1)
    if symmetric:
        array = plot.SIGNED(0.5 + 0.5 * array / max(np.abs(array).max(), 1e-30))[..., :3]
    return (np.clip(array, 0, 1) * 255 + 0.5).astype(np.uint8)


def _png(pixels: np.ndarray) -> str:
    """Bytes (h, w) or (h, w, 3) as the `src` of an <img>."""
    Image.fromarray(pixels).save(out := io.BytesIO(), format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
