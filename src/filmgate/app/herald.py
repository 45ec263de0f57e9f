"""The herald of a run: those who watch it from elsewhere hear that there is news."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filmgate.app.database import Database
from filmgate.app.run_options import RunOptions
from filmgate.core.ports import EventSink, Observer
from filmgate.core.records import RunHead
from filmgate.core.states import StageState

if TYPE_CHECKING:
    from filmgate.db.notices import Herald


@dataclass(frozen=True)
class Overheard:
    """An observer, and a herald who hears what it does."""

    observer: Observer
    herald: "Herald"

    def stage_started(self, stage: str) -> None:
        """Both hear it."""
        self.observer.stage_started(stage)
        self.herald.touch()

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Both hear it."""
        self.observer.stage_progress(stage, done, total)
        self.herald.touch()

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Both hear it."""
        self.observer.stage_ended(stage, state, note, reused=reused)
        self.herald.touch()


@dataclass(frozen=True)
class Heard:
    """Who hears of a run."""

    observer: Observer
    sinks: tuple[EventSink, ...]


@contextmanager
def heralded(
    database: Database,
    head: RunHead,
    observer: Observer,
    sinks: tuple[EventSink, ...],
    options: RunOptions,
) -> Iterator[Heard]:
    """For the length of a run, an observer and sinks that tell others through the database, too;
    where the run is to leave that alone, those that are given."""
    if not options.ingest:
        yield Heard(observer, sinks)
        return
    from filmgate.db.notices import Herald  # slow, and not every command needs it

    with Herald(database.session, head.asset.id, head.run_id) as herald:
        yield Heard(Overheard(observer, herald), (*sinks, herald))
