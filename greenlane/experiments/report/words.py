"""How numbers and names of a report read. Pure; no I/O."""

from datetime import datetime

from greenlane.experiments.naming import Kind


def name_of_metric(name: str) -> str:
    """`conversion_rate` reads `conversion rate`."""
    return name.replace("_", " ")


def as_percent(value: float | None) -> str:
    """A number of percent with its sign: `+18.9 %`; `?` for none."""
    if value is None:
        return "?"
    digits = 2 if abs(value) < 1 else 1
    return f"{value:+.{digits}f} %"


def ratio(value: float | None) -> str:
    """A ratio as percent with its sign."""
    return as_percent(None if value is None else 100 * value)


def plain(value: float | None) -> str:
    """Four significant digits, without an exponent where one can do without."""
    if value is None:
        return "?"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e15:
        digits = max(0, 3 - _order(value))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3g}"


def _order(value: float) -> int:
    return int(f"{value:e}".rpartition("e")[2])


def measured(value: float | None, kind: Kind) -> str:
    """A metric's estimate: a proportion in percent, everything else plain."""
    if value is None:
        return "?"
    return f"{100 * value:.4g} %" if kind == "proportion" else plain(value)


def chance(p: float | None) -> str:
    """A p-value: `0.031`, `3.2e-05`, `< 1e-300`."""
    if p is None:
        return "?"
    if p < 1e-300:
        return "< 1e-300"
    return f"{p:.2g}"


def moment(at: datetime) -> str:
    """`2026-03-09 14:05`."""
    return f"{at:%Y-%m-%d %H:%M}"
