"""Messages for the user of a command: notices about slow operations, and warnings."""

from collections.abc import Callable

_shown_by: list[Callable[[str], None]] = []
"""The function that shows notices; none if no user waits for them."""


_warned_by: list[Callable[[str], None]] = []
"""The function that shows warnings."""


def show_notices(show: Callable[[str], None]) -> None:
    """Pass every notice of this process to `show` from now on."""
    _shown_by[:] = [show]


def notify(message: str) -> None:
    """Send a notice about a slow operation."""
    for show in _shown_by:
        show(message)


def show_warnings(show: Callable[[str], None]) -> None:
    """Pass every warning of this process to `show` from now on."""
    _warned_by[:] = [show]


def warn(message: str) -> None:
    """Send a warning about the installation."""
    for show in _warned_by:
        show(message)
