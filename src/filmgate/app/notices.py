"""Notices to the person who waits for a command, such as that a database is being created."""

from collections.abc import Callable
from contextvars import ContextVar


def _ignore(_message: str) -> None:
    """Drop a notice: no person is waiting."""


_notify: ContextVar[Callable[[str], None]] = ContextVar("notify", default=_ignore)


def show_notices(show: Callable[[str], None]) -> None:
    """Pass every notice of this process to `show` from now on."""
    _notify.set(show)


def notify(message: str) -> None:
    """Say what takes long."""
    _notify.get()(message)
