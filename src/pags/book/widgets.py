"""Sliders: `frames` works on a static page, from the keyboard and without a network; `explore` needs a live kernel.

A static slider is one or two labelled <input type=range> over pictures that were computed beforehand.
"""

import base64
import html
import io
import itertools
import json
import os
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pags.book import plot

_numbers = itertools.count(1)

COLUMNS = "display:grid;grid-template-columns:max-content minmax(6em,22em) max-content;gap:.4em .8em"
SLIDER = """
<label for="{id}">{name}</label>
<input type="range" id="{id}" min="0" max="{last}" value="{at}" aria-valuetext="{value}">
<output for="{id}" aria-live="off">{value}</output>
"""
SCRIPT = """
(() => {
  const root = document.getElementById("NAME"), data = DATA;
  const picture = root.querySelector("img"), sliders = [...root.querySelectorAll("input")];
  const show = () => {
    let at = 0;
    const said = sliders.map((slider, i) => {
      const value = data.labels[i][slider.value];
      at = at * data.labels[i].length + Number(slider.value);
      slider.setAttribute("aria-valuetext", value);
      slider.nextElementSibling.textContent = value;
      return data.names[i] + " " + value;
    });
    picture.src = data.frames[at];
    picture.alt = data.alt + " (" + said.join(", ") + ")";
  };
  sliders.forEach(slider => slider.addEventListener("input", show));
  show();
})();
"""


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
    from IPython.display import display

    grid = not isinstance(label, str)
    names, values = (label, labels) if grid else ((label,), (labels,))
    values = [[str(value) for value in row] for row in values]
    if isinstance(pictures, Tensor):
        sources = [_png(frame) for frame in _pixels(pictures.flatten(0, 1) if grid else pictures, symmetric)]
    else:
        sources = [plot.data_uri(fig) for fig in pictures]
    if len(sources) != np.prod([len(row) for row in values]):
        raise ValueError(f"{len(sources)} pictures do not fill {' x '.join(str(len(row)) for row in values)} labels")
    first = [len(row) // 2 for row in values] if start is None else ([start] if isinstance(start, int) else start)
    page = _page(sources, values, names, first, alt, caption, anchor, width)
    display({"text/html": page, "text/plain": f"[Slider: {alt}] {caption}"}, raw=True)


def explore(function: Callable, **ranges) -> None:
    """`ipywidgets.interact(function, **ranges)` in a live notebook, nothing on a static page: there `frames` serves."""
    from IPython import get_ipython

    if os.environ.get("PAGS_STATIC") or not hasattr(get_ipython(), "kernel"):
        return
    from ipywidgets import interact

    interact(function, **ranges)


def _page(sources, values, names, first, alt, caption, anchor, width) -> str:
    """The slider as HTML: where scripts do not run it is the picture it starts with."""
    name = f"frames-{next(_numbers)}-{zlib.crc32(''.join(sources).encode()):08x}"
    pixels = "" if "svg" in sources[0][:16] else f"width:{width}px;image-rendering:pixelated"
    sliders = "".join(
        SLIDER.format(id=f"{name}-{i}", name=html.escape(title), last=len(row) - 1, at=at, value=html.escape(row[at]))
        for i, (title, row, at) in enumerate(zip(names, values, first, strict=True))
    )
    start = int(np.ravel_multi_index(first, [len(row) for row in values]))
    data = json.dumps({"frames": sources, "labels": values, "names": names, "alt": alt}).replace("</", "<\\/")
    body = f'<div id="{name}">{plot.picture(sources[start], alt, pixels)}<div style="{COLUMNS}">{sliders}</div></div>'
    script = f"<script>{SCRIPT.replace('NAME', name).replace('DATA', data)}</script>"
    return plot.figure("pags-frames", body, caption, anchor, script)


def _pixels(pictures: Tensor, symmetric: bool) -> np.ndarray:
    """Pictures (n, h, w) or (n, c, h, w) as bytes: grey (n, h, w) or colour (n, h, w, 3)."""
    array = pictures.detach().cpu().double().numpy()
    if array.ndim == 4:
        array = array[:, 0] if array.shape[1] == 1 else np.moveaxis(array, 1, -1)
    if symmetric:
        array = plot.SIGNED(0.5 + 0.5 * array / max(np.abs(array).max(), 1e-30))[..., :3]
    return np.uint8(np.clip(array, 0, 1) * 255 + 0.5)


def _png(pixels: np.ndarray) -> str:
    """Bytes (h, w) or (h, w, 3) as the `src` of an <img>."""
    Image.fromarray(pixels).save(out := io.BytesIO(), format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
