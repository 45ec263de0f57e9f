"""A silent runner is suspect, and nothing worse."""

from datetime import UTC, datetime, timedelta

from filmgate.core.liveness import SUSPECT_AFTER_S, is_suspect, silence_s

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG_AGO = NOW - timedelta(seconds=SUSPECT_AFTER_S + 1)


def test_only_who_holds_the_run_and_is_silent_for_long_is_suspect() -> None:
    assert is_suspect(LONG_AGO, NOW, is_held=True)
    assert not is_suspect(LONG_AGO, NOW, is_held=False)
    assert not is_suspect(NOW, NOW, is_held=True)
    assert not is_suspect(None, NOW, is_held=True)


def test_a_clock_that_was_set_back_makes_no_silence() -> None:
    assert silence_s(NOW + timedelta(days=1), NOW) == 0.0
