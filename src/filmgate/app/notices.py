"""Notices to the person who waits for a command, such as that a database is being created."""

from collections.abc import Callable


def _ignore(_message: str) -> None:
    """Drop a notice: no person is waiting."""


_shown_by: list[Callable[[str], None]] = [_ignore]


def show_notices(show: Callable[[str], None]) -> None:
    """Pass every notice of this process to `show` from now on."""
    _shown_by[:] = [show]


def notify(message: str) -> None:
    """Say what takes long."""
    _shown_by[0](message)
