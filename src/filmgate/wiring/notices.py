"""Notices about slow operations, for a user who waits for a command."""

from collections.abc import Callable


def _ignore(_message: str) -> None:
    """Drop a notice, because no user waits for it."""


_shown_by: list[Callable[[str], None]] = [_ignore]


def show_notices(show: Callable[[str], None]) -> None:
    """Pass every notice of this process to `show` from now on."""
    _shown_by[:] = [show]


def notify(message: str) -> None:
    """Send a notice about a slow operation."""
    _shown_by[0](message)
