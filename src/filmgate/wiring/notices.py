"""Notices about slow operations, for a user who waits for a command."""

from collections.abc import Callable

_shown_by: list[Callable[[str], None]] = []
"""The function that shows notices; none if no user waits for them."""


def show_notices(show: Callable[[str], None]) -> None:
    """Pass every notice of this process to `show` from now on."""
    _shown_by[:] = [show]


def notify(message: str) -> None:
    """Send a notice about a slow operation."""
    for show in _shown_by:
        show(message)
