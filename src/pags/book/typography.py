"""How numbers and words are set on a page: what no line may break, true minus signs, one way to write per cent."""

import re

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
NUMBER = rf"[{MINUS}+]?[\d.,]+(?:{NO_BREAK}%)?"
AS_IT_IS = ("script", "style", "code", "pre", "svg", "textarea")  # elements whose text is no prose
APOSTROPHE = re.compile(r"(?<=\w)(?:'|&#x27;|&#39;)(?=\w)")
TAG = re.compile(r"(<!--.*?-->|<[a-zA-Z/!][^>]*>)", re.DOTALL)


def prose(text: str, *, begins: bool = False) -> str:
    """The text with "36%" as "36 %" in one piece, an interval in one piece, and signs in place of letters.

    A hyphen before a number is a minus sign after a space or a bracket, and as the first character if it `begins`.
    """
    text = re.sub(r"(?<=\d)[ \u00a0]?%", f"{NO_BREAK}%", text)
    text = re.sub(r"(?<=[\s\[(])-(?=\.?\d)", MINUS, text)
    if begins:
        text = re.sub(r"^-(?=\.?\d)", MINUS, text)
    text = re.sub(rf"(?<=\[)({NUMBER}), (?={NUMBER}\])", rf"\1,{NO_BREAK}", text)
    text = re.sub(r"(?<=\d) x (?=\d)", f"{NO_BREAK}×{NO_BREAK}", text)
    return text.replace("Input x Gradient", "Input × Gradient")


def html(source: str) -> str:
    """A piece of HTML whose text is set as `prose` sets it; tags, scripts and code stay as they are."""
    parts = TAG.split(source)
    inside: list[str] = []  # open elements whose text stays
    for i, part in enumerate(parts):
        if i % 2:
            name = re.match(r"</?([a-zA-Z0-9]+)", part)
            if name and name[1].lower() in AS_IT_IS:
                inside = inside[:-1] if part.startswith("</") else [*inside, name[1]]
        elif part and not inside:
            after_code = i > 0 and parts[i - 1].startswith("</code")
            parts[i] = APOSTROPHE.sub("\N{RIGHT SINGLE QUOTATION MARK}", prose(part, begins=not after_code))
    return "".join(parts)
