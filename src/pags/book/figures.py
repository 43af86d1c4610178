"""How a figure travels from a cell to its page: as JSON of one MIME type, which MyST-NB hands to `Figures`.

A figure is `{svg, alt, caption, label}`, a slider `{frames, names, values, start, width, alt, caption, label}`: its
`frames` are the `src` of pictures, in row order over the `values` of one or two inputs, and `width` is in CSS pixels.
A figure with `live`, `{script, data, without}`, is something to play with: `start` of that script of this package
takes the place of the picture and of the sentence `without`, where scripts run. The caption is MyST, `label` is for
{numref}. A live notebook has no MyST-NB: `display` gives it HTML instead.
"""

import base64
import html
import itertools
import json
import math
import os
import zlib
from importlib import resources

from docutils import nodes

MIME = "application/vnd.pags.figure+json"

COLUMNS = "display:grid;grid-template-columns:max-content minmax(6em,22em) max-content;gap:.4em .8em"
INPUT = """
<label for="{id}">{name}</label>
<input type="range" id="{id}" min="0" max="{last}" value="{at}" aria-valuetext="{value}">
<output for="{id}" aria-live="off">{value}</output>
"""
SCRIPT = """
(() => {
  const root = document.getElementById("NAME"), data = DATA;
  const picture = root.querySelector("img"), first = picture.src;
  const sliders = [...root.querySelectorAll("input")];
  const show = () => {
    let at = 0;
    const said = sliders.map((slider, i) => {
      const value = data.values[i][slider.value];
      at = at * data.values[i].length + Number(slider.value);
      slider.setAttribute("aria-valuetext", value);
      slider.nextElementSibling.textContent = value;
      return data.names[i] + " " + value;
    });
    picture.src = data.frames[at] || first;
    picture.alt = data.alt + " (" + said.join(", ") + ")";
  };
  sliders.forEach(slider => slider.addEventListener("input", show));
  show();
})();
"""
_numbers = itertools.count(1)


def display(content: dict) -> None:
    """Show a figure or a slider: as JSON for the page where PAGS_STATIC is set, as `pags run` does; else as HTML."""
    from IPython.display import display

    kind = "Slider" if "frames" in content else "Figure"
    said = {"text/plain": f"[{kind}: {content['alt']}] {content['caption']}"}
    display({MIME: content} | said if os.environ.get("PAGS_STATIC") else {"text/html": page(content)}, raw=True)


def texts(content: dict) -> list[str]:
    """What a reader may see or hear of a figure beside its caption: alternative text, names and values of inputs."""
    values = itertools.chain(*content.get("values", []))
    return [content["alt"], content.get("live", {}).get("without", ""), *content.get("names", []), *values]


def data_uri(svg: str) -> str:
    """SVG text as the `src` of an <img>."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def page(content: dict) -> str:
    """A figure or a slider as HTML of its own, with the caption as it was written."""
    name = f' id="{html.escape(content["label"])}"' if content["label"] else ""
    body = raw(content)[1] or _picture(data_uri(content["svg"]), content["alt"])
    return f"<figure{name}>{body}<figcaption>{html.escape(content['caption'])}</figcaption></figure>"


def raw(content: dict) -> tuple[str, str]:
    """Kind and HTML of what is more than a picture; the HTML of a picture is empty."""
    if "frames" in content:
        return "pags-frames", slider(content)
    return ("pags-live", live(content)) if "live" in content else ("pags-figure", "")


def live(content: dict) -> str:
    """A picture and a sentence, style and script that take their place; the script has a scope of its own."""
    parts = content["live"]
    script, style = (_resource(f"{parts['script']}.{kind}") for kind in ("js", "css"))
    data = json.dumps(parts["data"], ensure_ascii=False).replace("<", r"\u003c")
    name = f"{parts['script']}-{next(_numbers)}-{zlib.crc32(data.encode()):08x}"
    still = f"{_picture(data_uri(content['svg']), content['alt'])}<p>{html.escape(parts['without'])}</p>"
    call = f'start(document.getElementById("{name}"), {data});'
    return f'<style>{style}</style><div id="{name}">{still}</div><script type="module">{script}\n{call}</script>'


def _resource(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def slider(content: dict) -> str:
    """Picture, inputs and script of a slider as HTML: where scripts do not run it is the picture it starts with."""
    frames, values, start = content["frames"], content["values"], content["start"]
    name = f"frames-{next(_numbers)}-{zlib.crc32(''.join(frames).encode()):08x}"
    inputs = "".join(
        INPUT.format(id=f"{name}-{i}", name=html.escape(title), last=len(row) - 1, at=at, value=html.escape(row[at]))
        for i, (title, row, at) in enumerate(zip(content["names"], values, start, strict=True))
    )
    first = sum(at * math.prod(map(len, values[i + 1 :])) for i, at in enumerate(start))
    pixels = f"width:{content['width']}px;image-rendering:pixelated" if content["width"] else ""
    said = {key: content[key] for key in ("values", "names", "alt")}
    others = [frame if i != first else "" for i, frame in enumerate(frames)]  # the first is in the picture already
    data = json.dumps({"frames": others} | said).replace("<", r"\u003c")
    picture = _picture(frames[first], content["alt"], pixels)
    body = f'<div id="{name}">{picture}<div style="{COLUMNS}">{inputs}</div></div>'
    return f"{body}<script>{SCRIPT.replace('NAME', name).replace('DATA', data)}</script>"


def _picture(source: str, alt: str, style: str = "") -> str:
    """The HTML of a picture that is never wider than its page."""
    return f'<img src="{source}" alt="{html.escape(alt)}" style="max-width:100%;{style}">'


class Figures:
    """MyST-NB's mime renderer: figures and sliders with a number for {numref} and with their caption as MyST."""

    mime_priority_overrides = (("*", MIME, 1),)

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """The figure's nodes; None for any other output."""
        if data.mime_type != MIME or inline:
            return None
        content = data.content
        kind, text = raw(content)
        body = nodes.raw("", text, format="html") if text else _image(data_uri(content["svg"]), content["alt"])
        return [_numbered(renderer.renderer, data.line, kind, body, content["caption"], content["label"])]


def _image(source: str, alt: str) -> nodes.image:
    return nodes.image(uri=source, alt=alt, classes=["dark-light"])


def _numbered(myst, line: int | None, kind: str, body: nodes.Element, caption: str, label: str | None) -> nodes.figure:
    """A figure's node with the caption as `myst` parses it, and with its name."""
    figure = nodes.figure("", body, nodes.caption(), classes=[kind])
    with myst.current_node_context(figure[1]):
        myst.nested_render_text(caption, line or 0, inline=True)
    if label:
        figure["names"].append(nodes.fully_normalize_name(label))
        myst.document.note_explicit_target(figure, figure)
    return figure
