"""How numbers and words are set on a page: what no line may break, true minus signs, one way to write per cent."""

import re

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NUMBER = rf"[{MINUS}+]?[\d.,]+(?:{NO_BREAK}%)?"
ATTRIBUTES = r"""(?:"[^"]*"|'[^']*'|[^'">/]|/(?!>))*"""
# Elements whose text is no prose, with all that is in them; comments; any other tag.
KEPT = rf"<(script|style|code|pre|kbd|samp|svg|textarea)\b{ATTRIBUTES}(?:/>|>.*?</\2\s*>)|<!--.*?-->"
TAG = re.compile(rf"({KEPT}|</?[a-zA-Z!]{ATTRIBUTES}/?>)", re.DOTALL | re.IGNORECASE)
END = re.compile(r"""[-‑]?\w*[.,;:!?)\]'"’”…]*""")
APOSTROPHE = re.compile(r"(?<=\w)(?:'|&#x27;|&#39;)(?=\w)")


def prose(text: str, *, begins: bool = False) -> str:
    """The text with "36%" as "36 %", intervals, "n = 2" and "1 ± 0.1" in one piece, and signs in place of letters.

    A hyphen before a number is a minus sign after a space or a bracket, and as the first character if it `begins`.
    """
    text = re.sub(r"(?<=\d)[ \u00a0]?%(?![0-9A-Fa-f]{2})", f"{NO_BREAK}%", text)  # in an address it is a letter
    text = re.sub(r"(?<=[\s\[(])-(?=\.?\d)", MINUS, text)
    if begins:
        text = re.sub(r"^-(?=\.?\d)", MINUS, text)
    text = re.sub(rf"(?<=\[)({NUMBER}), (?={NUMBER}\])", rf"\1,{NO_BREAK}", text)
    text = re.sub(r"(?<=\d) x (?=\d)", " × ", text)
    text = re.sub(rf"(?<=\d) ([×±{MINUS}]) (?=[\d.])", rf"{NO_BREAK}\1{NO_BREAK}", text)
    text = re.sub(rf"(?<=\b\w) ([=<>≤≥≈]|&[lg]t;) (?=[{MINUS}+]?[\d.])", rf"{NO_BREAK}\1{NO_BREAK}", text)
    return text.replace("Input x Gradient", "Input × Gradient")


def end_of_word(text: str) -> str:
    """What at the beginning of a text, after a formula, belongs to the formula: punctuation, or a hyphen and a word."""
    found = END.match(text)
    return found[0] if found else ""


def html(source: str, *, begins: bool = True) -> str:
    """A piece of HTML whose text is set as `prose` sets it; tags, scripts and code stay as they are.

    Text behind the tag of an element begins something; text in front of all tags does if the piece `begins`.
    """
    made, end, opened = [], 0, begins
    for tag in TAG.finditer(source):
        made += [_text(source[end : tag.start()], begins=opened), tag[0]]
        end, opened = tag.end(), tag[2] is None and re.match(r"<[a-zA-Z]", tag[0]) is not None
    return "".join([*made, _text(source[end:], begins=opened)])


def _text(text: str, *, begins: bool) -> str:
    return APOSTROPHE.sub("\N{RIGHT SINGLE QUOTATION MARK}", prose(text, begins=begins))
