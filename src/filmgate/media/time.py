"""Presentation time: whole ticks of a time base, exact until they are rounded to milliseconds."""

from fractions import Fraction


def milliseconds(seconds: Fraction) -> int:
    """Round an exact time to whole milliseconds, halves up: the one rounding rule.

    Monotone, so that adjoining spans stay adjoining and none is turned around.
    """
    return (2000 * seconds.numerator + seconds.denominator) // (2 * seconds.denominator)


def clock_text(ms: int) -> str:
    """Milliseconds as a person reads them: `0:01:23.456`."""
    seconds, millis = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}.{millis:03}"
