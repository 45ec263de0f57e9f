"""The certificate says what timestamps really are."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.timebase import certify

MILLI = Fraction(1, 1000)


@given(st.integers(2, 200), st.fractions(min_value=1, max_value=120, max_denominator=1001))
def test_an_even_rate_rounded_to_a_coarse_time_base_is_not_called_variable(
    count: int, rate: Fraction
) -> None:
    stamps = [round(number / rate / MILLI) for number in range(count)]
    assert not certify(stamps, time_base=MILLI, last_duration=None).is_variable_rate


@given(st.lists(st.integers(1, 500), min_size=2, max_size=50), st.data())
def test_a_frame_that_is_late_makes_the_rate_variable(
    steps: list[int], data: st.DataObject
) -> None:
    even = [number * 40 for number in range(len(steps) + 2)]
    late = data.draw(st.integers(1, len(even) - 2))
    even[late] += 20
    assert certify(even, time_base=MILLI, last_duration=40).is_variable_rate


def test_the_end_is_where_the_last_frame_stops_being_shown() -> None:
    assert certify([0, 40, 80], time_base=MILLI, last_duration=33).end_pts == 113
    assert certify([0, 40, 80], time_base=MILLI, last_duration=None).end_pts == 120


def test_one_frame_has_no_rate() -> None:
    certificate = certify([7], time_base=MILLI, last_duration=40)
    assert (certificate.average_rate, certificate.end_pts) == (None, 47)
    assert not certificate.is_variable_rate


@pytest.mark.parametrize("stamps", [[], [3, 3], [5, 4]])
def test_timestamps_that_do_not_rise_are_refused(stamps: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        certify(stamps, time_base=MILLI, last_duration=None)


@given(st.sets(st.integers(-1000, 100_000), min_size=1, max_size=40))
def test_another_time_line_has_another_name(stamps: set[int]) -> None:
    line = sorted(stamps)
    one = certify(line, time_base=MILLI, last_duration=1)
    other = certify([*line, line[-1] + 1], time_base=MILLI, last_duration=1)
    assert one.pts_sha256 != other.pts_sha256
