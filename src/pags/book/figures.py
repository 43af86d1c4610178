"""How a figure travels from a cell to its page: as JSON of one MIME type, which MyST-NB hands to `Figures`.

A figure is `{svg, alt, caption, label}`, a slider `{frames, names, values, start, width, alt, caption, label}`: its
`frames` are the `src` of pictures, in row order over the `values` of one or two inputs, and `width` is in CSS pixels.
A figure with `live`, `{script, data, without}`, is something to play with: `start` of that script of this package
takes the place of the picture and of the sentence `without`, where scripts run. The caption is MyST, `label` is for
{numref}. A live notebook has no MyST-NB: `display` gives it HTML instead. A page holds drawings as text without what
nobody sees, and of a slider's frames each part once.
"""

import base64
import html
import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Sequence
from importlib import resources

from docutils import nodes

MIME = "application/vnd.pags.figure+json"
DRAWN = "data:image/svg+xml;base64,"  # how a drawing is kept in a notebook
SHOWN = "data:image/svg+xml,"  # how it is on a page

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
  const parts = data.parts && decodeURIComponent(first.slice(SKIP)).split("<").concat(data.parts);
  const source = frame => !parts || !frame ? frame :
    "SHOWN" + encodeURIComponent(frame.flatMap(([at, n]) => parts.slice(at, at + n)).join("<"));
  const show = () => {
    let at = 0;
    const said = sliders.map((slider, i) => {
      const value = data.values[i][slider.value];
      at = at * data.values[i].length + Number(slider.value);
      slider.setAttribute("aria-valuetext", value);
      slider.nextElementSibling.textContent = value;
      return data.names[i] + " " + value;
    });
    picture.src = source(data.frames[at]) || first;
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
    return DRAWN + base64.b64encode(svg.encode()).decode()


def drawing(source: str) -> str:
    """The SVG text of such a `src`."""
    return base64.b64decode(source.removeprefix(DRAWN)).decode()


def shown_uri(svg: str) -> str:
    """The same as a page holds it: as text, without what nobody sees."""
    return SHOWN + re.sub(r'[<>#%&"\t\n\r]', lambda match: f"%{ord(match[0]):02X}", slim(svg))


def slim(svg: str) -> str:
    """The same drawing without comments, spaces between elements and in paths, and ids that nothing refers to.

    A drawing with text of its own, in which spaces count, stays as it is.
    """
    if "<text" in svg:
        return svg
    svg = re.sub(r">\s+<", "><", re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL))
    svg = re.sub(r'\bd="[^"]*"', lambda match: _path(match[0]), svg)
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    return svg if "'" in svg else svg.replace('"', "'")  # which a page need not escape


def _path(d: str) -> str:
    """The commands of a path without the spaces that they can do without."""
    d = re.sub(r"\s+", " ", d)
    return re.sub(r" ?([A-Za-z]) ?", r"\1", d).replace(" -", "-").replace(' "', '"')


def page(content: dict) -> str:
    """A figure or a slider as HTML of its own, with the caption as it was written."""
    name = f' id="{html.escape(content["label"])}"' if content["label"] else ""
    body = raw(content)[1] or _picture(shown_uri(content["svg"]), content["alt"])
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
    still = f"{_picture(shown_uri(content['svg']), content['alt'])}<p>{html.escape(parts['without'])}</p>"
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
    if all(frame.startswith(DRAWN) for frame in frames):
        drawings = list(map(drawing, frames))
        source, held = shown_uri(drawings[first]), shared(drawings, first)
    else:  # the first is in the picture already
        source, held = frames[first], {"frames": [frame if i != first else "" for i, frame in enumerate(frames)]}
    said = {key: content[key] for key in ("values", "names", "alt")}
    data = json.dumps(held | said, separators=(",", ":")).replace("<", r"\u003c")
    picture = _picture(source, content["alt"], pixels)
    body = f'<div id="{name}">{picture}<div style="{COLUMNS}">{inputs}</div></div>'
    script = SCRIPT.replace("NAME", name).replace("SKIP", str(len(SHOWN))).replace("SHOWN", SHOWN)
    return f"{body}<script>{script.replace('DATA', data)}</script>"


def shared(drawings: Sequence[str], first: int) -> dict[str, list]:
    """Drawings as `frames`, each a list of runs [at, n] of parts, but the `first`, which is the picture already.

    A part is what stands between two "<": those of the first, then `parts`.
    """
    parts = slim(drawings[first]).split("<")
    own, at = len(parts), {part: i for i, part in enumerate(parts)}
    frames = []
    for drawing in drawings:
        runs: list[list[int]] = []
        for part in slim(drawing).split("<"):
            if part not in at:
                at[part] = len(parts)
                parts.append(part)
            after = sum(runs[-1]) if runs else len(parts)
            if after < len(parts) and parts[after] == part:
                runs[-1][1] += 1
            else:
                runs.append([at[part], 1])
        frames.append(runs)
    return {"parts": parts[own:], "frames": [runs if i != first else "" for i, runs in enumerate(frames)]}


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
        body = nodes.raw("", text, format="html") if text else _image(shown_uri(content["svg"]), content["alt"])
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
