"""How Jupyter Book receives a chapter's figures and sliders: numbered, captions as MyST, so that {numref} finds them.

MyST-NB finds `Figures` by its entry point. A notebook opened in Jupyter shows the same HTML without a number.
"""

import html
import re

from docutils import nodes

OURS = re.compile(
    r'<figure class="(pags-\w+)"(?: id="([^"]*)")?>(.*)<figcaption>(.*)</figcaption>(.*)</figure>', re.DOTALL
)
PICTURE = re.compile(r'<img src="([^"]*)" alt="([^"]*)"[^>]*>')


class Figures:
    """MyST-NB's mime renderer for what `plot.show` and `widgets.frames` display."""

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer, data, inline: bool) -> list[nodes.Element] | None:
        """The figure's nodes; None for any other output."""
        match = None if inline or data.mime_type != "text/html" else OURS.fullmatch(data.string)
        if not match:
            return None
        kind, label, body, caption, script = match.groups()
        picture = PICTURE.fullmatch(body)
        if picture:
            content = nodes.image(uri=picture[1], alt=html.unescape(picture[2]), classes=["dark-light"])
        else:
            content = nodes.raw("", body + script, format="html")
        figure = nodes.figure("", content, nodes.caption(), classes=[kind])
        myst = renderer.renderer
        with myst.current_node_context(figure[1]):
            myst.nested_render_text(html.unescape(caption), data.line or 0, inline=True)
        if label:
            figure["names"].append(nodes.fully_normalize_name(label))
            myst.document.note_explicit_target(figure, figure)
        return [figure]
