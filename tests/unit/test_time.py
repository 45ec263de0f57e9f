"""Time is exact until it is rounded, by one rule."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.spans import Span
from filmgate.media.time import format_clock, milliseconds

seconds = st.fractions(min_value=0, max_value=100_000, max_denominator=90_000)
spans = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(
    lambda ends: Span(start_ms=min(ends), end_ms=max(ends))
)


@given(seconds)
def test_rounding_is_off_by_half_a_millisecond_at_most(time: Fraction) -> None:
    assert abs(milliseconds(time) - time * 1000) <= Fraction(1, 2)


@given(seconds, seconds)
def test_rounding_never_turns_two_times_around(one: Fraction, other: Fraction) -> None:
    assert (one <= other) <= (milliseconds(one) <= milliseconds(other))


def test_halves_are_rounded_up() -> None:
    assert [milliseconds(Fraction(n, 2000)) for n in (1, 3, 5)] == [1, 2, 3]


@given(spans, spans)
def test_a_clamped_span_lies_inside_and_loses_nothing_that_was_inside(
    one: Span, within: Span
) -> None:
    clamped = one.clamped(within)
    if clamped is None:
        assert one.start_ms > within.end_ms or one.end_ms < within.start_ms
    else:
        assert within.start_ms <= clamped.start_ms <= clamped.end_ms <= within.end_ms
        assert clamped.start_ms == max(one.start_ms, within.start_ms)
        assert clamped.end_ms == min(one.end_ms, within.end_ms)


def test_a_clock_reads_as_people_read_it() -> None:
    assert format_clock(3_723_004) == "1:02:03.004"
