"""Text of somebody else's made safe to show: nothing invisible is left in it, it begins no line, and it has an end.

What a subject, a file or an argument calls itself or says goes through here on its way to a terminal, a log or a
summary: an escape sequence could clear the screen, and a newline could begin a line that looks like one of ours.
"""

LONGEST = 1000  # characters


def visible(text: str, most: int = LONGEST) -> str:
    """The text on one line, each character that cannot be seen as its escape, a long one cut in its middle."""
    return shortened("".join(map(_seen, text[: most + 1] if len(text) <= most else shortened(text, most))), most)


def visible_lines(text: str) -> str:
    """Text that has lines of its own, such as a script: each of them made visible, and none cut."""
    return "\n".join("".join("\t" if each == "\t" else _seen(each) for each in line) for line in text.split("\n"))


def shortened(text: str, most: int = LONGEST) -> str:
    """The text, or its beginning and its end, and how much is left out between them."""
    if len(text) <= most:
        return text
    half = max(1, most // 2 - 16)
    return f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"


def _seen(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")
