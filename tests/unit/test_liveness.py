"""Liveness of runners: when one is suspect, and its time without a heartbeat."""

from datetime import UTC, datetime, timedelta

from filmgate.core.liveness import SUSPECT_AFTER_S, is_suspect, silence_s

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LONG_AGO = NOW - timedelta(seconds=SUSPECT_AFTER_S + 1)


def test_only_a_runner_that_holds_the_run_without_a_recent_heartbeat_is_suspect() -> None:
    assert is_suspect(LONG_AGO, NOW, is_held=True)
    assert not is_suspect(LONG_AGO, NOW, is_held=False)
    assert not is_suspect(NOW, NOW, is_held=True)
    assert not is_suspect(None, NOW, is_held=True)


def test_silence_is_not_negative_after_a_clock_was_set_back() -> None:
    assert silence_s(NOW + timedelta(days=1), NOW) == 0.0
