"""Presentation times: exact ticks of a time base, rounded to milliseconds in one place."""

from fractions import Fraction


def milliseconds(seconds: Fraction) -> int:
    """Round an exact time to whole milliseconds, halves up. All times are rounded here.

    Rounding is monotone: adjacent spans stay adjacent, and no span ends before it starts.
    """
    return (2000 * seconds.numerator + seconds.denominator) // (2 * seconds.denominator)


def format_clock(ms: int) -> str:
    """Format milliseconds for people: `0:01:23.456`."""
    seconds, millis = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{millis:03}"


def short_clock(ms: int) -> str:
    """Return a time with tenths of a second, such as `0:10.0` or `1:02:03.4`; not rounded up."""
    minutes, tenths = divmod(ms // 100, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"
