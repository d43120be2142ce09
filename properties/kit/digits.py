"""Numbers in a message: as many digits as it takes to tell them apart."""

MOST = 17  # significant digits, which tell any two numbers of float64 apart


def apart(first: float, *others: float, least: int = 9) -> tuple[str, ...]:
    """The numbers as text, with `least` significant digits, or with more until `first` looks like none of the others.

    Numbers that are equal look alike.
    """
    for digits in range(least, MOST + 1):
        shown = tuple(f"{value:.{digits}g}" for value in (first, *others))
        if all(text != shown[0] or value == first for text, value in zip(shown[1:], others, strict=True)):
            break
    return shown
