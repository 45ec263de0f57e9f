"""Notifications about the progress of a run, sent to other processes through the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filmgate.core.ports import EventSink, Observer
from filmgate.core.records import RunHead
from filmgate.core.states import StageState
from filmgate.db.notifications import RunNotifier
from filmgate.services.run_options import RunOptions
from filmgate.wiring.database import Database


@dataclass(frozen=True)
class NotifyingObserver:
    """Forwards calls to an observer, and then triggers a notification."""

    observer: Observer
    notifier: RunNotifier

    def stage_started(self, stage: str) -> None:
        """Pass the call on and notify."""
        self.observer.stage_started(stage)
        self.notifier.touch()

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Pass the call on and notify."""
        self.observer.stage_progress(stage, done, total)
        self.notifier.touch()

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Pass the call on and notify."""
        self.observer.stage_ended(stage, state, note, reused=reused)
        self.notifier.touch()


@dataclass(frozen=True)
class RunObservers:
    """The observer and the event sinks of a run."""

    observer: Observer
    sinks: tuple[EventSink, ...]


@contextmanager
def with_notifications(
    database: Database,
    head: RunHead,
    observer: Observer,
    sinks: tuple[EventSink, ...],
    options: RunOptions,
) -> Iterator[RunObservers]:
    """Add database notifications to an observer and event sinks for a block.

    Without `options.ingest` the database is not used, and both are returned unchanged.
    """
    if not options.ingest:
        yield RunObservers(observer, sinks)
        return

    with RunNotifier(database.session, head.asset.id, head.run_id) as notifier:
        yield RunObservers(NotifyingObserver(observer, notifier), (*sinks, notifier))
