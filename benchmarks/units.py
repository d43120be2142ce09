"""Numbers as a person reads them: three digits and a unit."""

TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
AMOUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
BYTES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))


def seconds(value: float | None) -> str:
    """1.23 ms."""
    return _scaled(value, TIMES)


def amount(value: float | None) -> str:
    """1.23 M."""
    return _scaled(value, AMOUNTS)


def size(value: float | None) -> str:
    """1.23 MiB."""
    return _scaled(value, BYTES)


def share(part: float | None, whole: float = 1.0) -> str:
    """12 %; under ten per cent with a digit more."""
    if part is None:
        return "-"
    per_cent = 100 * part / whole
    return f"{per_cent:.0f} %" if per_cent >= 9.95 or per_cent == 0 else f"{per_cent:.1f} %"


def _scaled(value: float | None, units: tuple[tuple[float, str], ...]) -> str:
    if value is None:
        return "-"
    factor, unit = next(((f, u) for f, u in units if abs(value) >= 0.9995 * f), units[-1])
    scaled = value / factor
    digits = max(0, 2 - (len(str(int(abs(scaled) + 0.0005))) - 1))
    return f"{scaled:.{digits}f} {unit}".rstrip()
