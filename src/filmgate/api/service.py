"""The service: everything that its endpoints call, opened once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from filmgate.api.doorkeeper import Doorkeeper
from filmgate.api.limits import Buckets
from filmgate.api.live import Hub
from filmgate.api.observing import Metrics
from filmgate.app.access import Access
from filmgate.app.archive import Archive
from filmgate.app.database import Database
from filmgate.app.jobs import Jobs
from filmgate.app.people import People
from filmgate.app.rulebooks import Rulebooks
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.app.videos import Videos

CONNECTIONS = 12
"""To the database. More would not make two processors faster."""


class Door(StrEnum):
    """Who is let in."""

    KNOWN = "known"
    """Whoever has a token, or a session."""
    OPEN = "open"
    """Whoever is on this machine."""


@dataclass(frozen=True)
class Service:
    """What endpoints call."""

    settings: Settings
    door: Door
    hosts: tuple[str, ...]
    """Names under which it is reached; none: under any."""
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "database", Database(self.settings))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """For as long as it serves."""
        with self.database.pooled(CONNECTIONS):
            self.jobs.prepare()
            self.videos.sweep()
            yield

    @cached_property
    def access(self) -> Access:
        """Who may ask."""
        return Access(self.settings, self.database)

    @cached_property
    def archive(self) -> Archive:
        """What was ingested."""
        return Archive(self.settings, self.database)

    @cached_property
    def jobs(self) -> Jobs:
        """What workers are asked to do."""
        return Jobs(self.settings, self.database)

    @cached_property
    def people(self) -> People:
        """Who is known."""
        return People(self.settings, self.database)

    @cached_property
    def rulebooks(self) -> Rulebooks:
        """The corpus of rules."""
        return Rulebooks(self.settings, self.database)

    @cached_property
    def system(self) -> System:
        """Runs."""
        return System(self.settings, self.database)

    @cached_property
    def videos(self) -> Videos:
        """Videos and their files."""
        return Videos(self.settings, self.database)

    @cached_property
    def hub(self) -> Hub:
        """Who watches runs."""
        return Hub(self.database, self.jobs)

    @cached_property
    def doorkeeper(self) -> Doorkeeper:
        """Who asks."""
        return Doorkeeper(self.access)

    @cached_property
    def metrics(self) -> Metrics:
        """What is counted."""
        return Metrics()

    @cached_property
    def buckets(self) -> Buckets:
        """How much each caller may still ask."""
        return Buckets(self.settings.rate_per_s)

    @property
    def home(self) -> Path:
        """Where runs and uploads lie."""
        return self.settings.home.expanduser().absolute()
