"""Numbers as users read them; each exact value is beside it where there is room."""

from __future__ import annotations

from datetime import datetime, timezone

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(number: float) -> str:
    """Return bytes with three digits: ``4.00 KiB``; whole below 1,024."""
    value, unit = float(number), 0
    while value >= 1023.5 and unit < len(_BINARY) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{_three_digits(value)} {_BINARY[unit]}"


def brief_size(number: float) -> str:
    """Return bytes without zeros at the end: ``50 MiB``."""
    value, _, unit = size(number).partition(" ")
    return f"{value.rstrip('0').rstrip('.') if '.' in value else value} {unit}"


def rate(number: float) -> str:
    """Return bytes per second."""
    return f"{size(number)}/s"


def count(number: float) -> str:
    """Return a whole number with commas, or what is less than 10 with one decimal."""
    if number == int(number) or number >= 10:
        return f"{number:,.0f}"
    return f"{number:.1f}"


def duration(seconds: float) -> str:
    """Return ``12 ms``, ``1.25 s``, ``3 min 5 s``, ``2 h 4 min``."""
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.0f} ms" if milliseconds >= 9.95 else f"{milliseconds:.1f} ms"
    if seconds < 59.95:
        return f"{_three_digits(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def clock(seconds: float) -> str:
    """Return a time since the start of a run: ``0:05``, ``1:02:03``, ``0:00.5``."""
    whole, tenths = divmod(round(seconds * 10), 10)
    hours, minutes = whole // 3600, whole // 60 % 60
    text = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    return f"{text}.{tenths}" if tenths else text


def percent(share: float) -> str:
    """Return a share as a percentage; what is neither none nor all is never shown as that."""
    if 0 < share < 0.001:
        return "< 0.1%"
    if 0.999 < share < 1:
        return "> 99.9%"
    return f"{share * 100:.3g}%"


def change(before: float, now: float) -> str:
    """Return by how much a number has changed: ``+12%``, ``×3.1``, ``same``."""
    if before == now:
        return "same"
    if before <= 0:
        return "new"
    ratio = now / before
    if ratio >= 3:
        return f"×{_three_digits(ratio)}"
    return f"{(ratio - 1) * 100:+.0f}%" if abs(ratio - 1) >= 0.005 else "same"


def moment(text: str) -> str:
    """Return a time of the journal to the second: ``2026-11-20 08:30:00 UTC``."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return "unknown"
    return f"{found:%Y-%m-%d %H:%M:%S} UTC"


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
