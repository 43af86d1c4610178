"""A chapter's own numbers in sentences and tables: what it shows comes from what its run has recorded."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from pags.errors import UsageError


def say(*sentences: str) -> None:
    """Show sentences (MyST) as one paragraph."""
    from IPython.display import Markdown, display

    display(Markdown(" ".join(sentences)))


def points(*found: Sequence[str]) -> None:
    """Show findings (MyST) as a list: of each, a lead in bold and its sentences; empty sentences are left out."""
    say("\n".join(f"- **{lead}** {' '.join(filter(None, sentences))}" for lead, *sentences in found))


def slug(name: str) -> str:
    """The name as a part of a metric's name: "L∞, ε = 0.1" becomes "linf-0.1"."""
    return re.sub("[^a-z0-9.]+", "-", name.lower().replace("∞", "inf")).strip("-")


def listed(items: Iterable[str], nothing: str = "none of them") -> str:
    """The items in words."""
    *most, last = [*items] or [nothing]
    return f"{', '.join(most)} and {last}" if most else last


UNITS = ("degrees", "nats", "pixels", "images", "latents", "dimensions", "networks", "steps", "times chance")


def number(metric: Mapping[str, Any], *, unit: bool = True) -> str:
    """A metric as "147 nats [146, 148], n = 10,000", without what it has not; what only names it is no unit."""
    of = f" {metric['unit']}" if unit and metric["unit"] in UNITS else ""
    ends = "" if metric["low"] is None else f" [{digits(metric['low'])}, {digits(metric['high'])}]"
    many = f", n = {metric['n']:,}" if metric["n"] > 1 else ""
    many += f" in {metric['runs']} runs" if metric.get("runs", 1) > 1 else ""
    value = " and ".join(digits(one) for one in metric.get("each", [metric["value"]]))
    return f"{value}{of}{ends}{many}"


def digits(value: float) -> str:
    """The number with three significant digits, or all digits of its whole part."""
    if value == 0 or not 1e-4 <= abs(value) < 1e9:
        return f"{value:.3g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def percent(value: float) -> str:
    """A share in per cent, with a decimal where it says more: "28 %", "1.6 %", "99.7 %"."""
    hundredths = 100 * value
    near = 0 < abs(hundredths) < 9.95 or 99 < hundredths < 99.95
    return f"{signed_plainly(hundredths, '.1f' if near else '.0f')} %"


def signed_plainly(value: float, form: str) -> str:
    """The number in this form of Python's, with a true minus sign and no sign before a zero."""
    text = f"{value:{form}}"
    return text.lstrip("+-") if not float(text) else text.replace("-", "−")


def signed(value: float) -> str:
    """The number with three digits and with its sign."""
    return ("+" if value > 0 else "") + digits(value).replace("-", "−")


# How a sentence may show a metric, by the word behind the colon of "{metric:form}".
FORMS: dict[str, Callable[[float], str]] = {
    "": lambda value: digits(value).replace("-", "−"),
    "count": lambda value: f"{value:.3g}",
    "percent": percent,
    "multiple": lambda value: f"{digits(value)} times" if value >= 1 else percent(value),
    "rest": lambda value: percent(1 - value),
    "or rounding": lambda value: "zero, to rounding" if abs(value) < 1e-9 else digits(value),
    "plain points": lambda value: signed_plainly(100 * value, ".1f"),
    "points": lambda value: signed_plainly(100 * value, "+.1f"),
    "signed": signed,
    "turned": lambda value: signed(-value),
    "power of two": lambda value: digits(2**value),
    "power of ten": lambda value: digits(10**value),
    "power of e": lambda value: digits(math.exp(value)),
}
FALLING = ("rest", "turned")  # forms of which a larger metric makes a smaller number
INTERVAL = ", interval"
PLACE = re.compile(r"\{([^{}:/]+)(?:/([^{}:/]+))?(?::([^{}]+))?\}")


def named(text: str) -> list[str]:
    """The metrics that a sentence for `filled` names."""
    return [name for match in PLACE.finditer(text) for name in match.groups()[:2] if name]


def filled(text: str, metrics: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The sentence with every "{metric:form}", or ratio "{first/second}", put in.

    A form that ends in ", interval" has the metric's interval behind the number, if there is one: "57 % [52 %, 62 %]".
    None where a metric is missing or the second of a ratio is zero. Raises UsageError for a form that is none of FORMS.
    """
    if unknown := [match[3] for match in PLACE.finditer(text) if (match[3] or "").removesuffix(INTERVAL) not in FORMS]:
        raise UsageError(f"{unknown[0]!r} in {text!r}: write one of {', '.join(filter(None, FORMS))}")
    if any(name not in metrics for name in named(text)):
        return None
    if any(match[2] and not metrics[match[2]]["value"] for match in PLACE.finditer(text)):
        return None

    def put_in(match: re.Match[str]) -> str:
        metric, name = metrics[match[1]], (match[3] or "").removesuffix(INTERVAL)
        form = FORMS[name]
        if match[2]:
            return form(metric["value"] / metrics[match[2]]["value"])
        if name == (match[3] or "") or metric["low"] is None:
            return form(metric["value"])
        ends = [metric["low"], metric["high"]][:: -1 if name in FALLING else 1]
        return f"{form(metric['value'])} [{', '.join(map(form, ends))}]"

    return PLACE.sub(put_in, text)


def table(caption: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Show a table: a row is a dict from heads to cells, the first of them the row's name; everything is plain text."""
    from IPython.display import HTML, display

    display(HTML(_plain_table(caption, rows)))


def folded(summary: str, caption: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """`table` in a block that opens on demand; the summary stands in its place until then."""
    from IPython.display import HTML, display

    inside = _plain_table(caption, rows)
    display(HTML(f'<details class="pags-source"><summary>{escape(summary)}</summary>{inside}</details>'))


def _plain_table(caption: str, rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [[escape(str(cell)) for cell in row.values()] for row in rows]
    return html_table(caption, list(rows[0]), cells, label=caption)


def html_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, label: str) -> str:
    """A table whose cells are HTML; it scrolls in itself where the page is narrow, also from the keyboard."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="pags-scroll" aria-label="{escape(label)}" role="group">\n'
        f'<table class="table">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def stacked_table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose cells are HTML; on a phone a row is a block of lines, each with its head before it."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f'<td data-head="{escape(name)}">{cell}</td>' for name, cell in zip(heads[1:], row[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="pags-scroll"><table class="table pags-stacked">\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def settings(chapter: str) -> None:
    """Show every setting of the chapter at all presets, in a block that opens on demand."""
    from IPython.display import HTML, display

    from pags import PRESETS, presets

    rows = [
        [f"<code>{row['field']}</code>", *(escape(str(row[name])) for name in PRESETS)]
        for row in presets.table(chapter)
    ]
    inside = html_table("Every number that somebody chose", ["setting", *PRESETS], rows, label="Settings")
    summary = "All settings of this chapter, at every preset"
    display(HTML(f'<details class="pags-source"><summary>{summary}</summary>{inside}</details>'))


def verdict(holds: bool) -> str:
    """ "✓ holds" or "✗ does not hold" as HTML."""
    kind, mark, words = ("reproduced", "✓", "holds") if holds else ("not-reproduced", "✗", "does not hold")
    return f'<strong class="pags-verdict pags-{kind}"><span aria-hidden="true">{mark}</span>&nbsp;{words}</strong>'


def checks(run: Any, *rows: tuple[str, str, float]) -> None:
    """Show recorded errors beside the largest that may be, in a block that opens on demand and says how many hold.

    A row says what was compared with its closed form, then the metric, then the tolerance.
    """
    from IPython.display import HTML, display

    errors = [abs(run.metric(name)["value"]) for _, name, _ in rows]
    holds = [error <= tolerance for error, (*_, tolerance) in zip(errors, rows, strict=True)]
    cells = [
        [escape(words), f"{error:.2g}", f"{tolerance:.1g}", verdict(good)]
        for (words, _, tolerance), error, good in zip(rows, errors, holds, strict=True)
    ]
    heads = ["against its closed form", "largest error", "tolerance", "verdict"]
    inside = html_table("Errors of what this page computes twice", heads, cells, label="Checks")
    summary = f"The formulas of this page against simulation or search: {sum(holds)} of {len(rows)} checks hold"
    display(HTML(f'<details class="pags-source"><summary>{summary}</summary>{inside}</details>'))
