"""The service: the settings, database and services that all endpoints share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from filmgate.api.authentication import Authenticator
from filmgate.api.limits import Buckets
from filmgate.api.telemetry import Metrics
from filmgate.jobs.queue import JobService
from filmgate.services.access import AccessService
from filmgate.services.archive import ArchiveService
from filmgate.services.erasure import ErasureService
from filmgate.services.people import PeopleService
from filmgate.services.query_context import DatabaseQueries
from filmgate.services.run_queries import RunQueries
from filmgate.services.run_streams import Hub
from filmgate.services.runs import Runs
from filmgate.services.videos import VideoService
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

CONNECTIONS = 12
"""Size of the pool of database connections. A larger pool is not faster on two CPU cores."""


class AuthMode(StrEnum):
    """Rule that decides which requests are accepted."""

    REQUIRED = "required"
    """Accept requests with a token or a session."""
    OPEN = "open"
    """Also accept requests from this machine without authentication."""


@dataclass(frozen=True)
class Service:
    """Objects that the endpoints use; each is created at its first use."""

    settings: Settings
    auth_mode: AuthMode
    hosts: tuple[str, ...]
    """Accepted host names; if empty, all are accepted."""
    database: Database = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "database", Database(self.settings))

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Prepare the queue, remove stale uploads, and open the connection pool for a block."""
        with self.database.pooled(CONNECTIONS):
            self.jobs.prepare()
            self.videos.sweep()
            yield

    @cached_property
    def access(self) -> AccessService:
        """Tokens, links, sessions and the audit log."""
        return AccessService(self.settings, self.database)

    @cached_property
    def archive(self) -> ArchiveService:
        """The ingested artifacts."""
        return ArchiveService(self.settings, self.database)

    @cached_property
    def queries(self) -> DatabaseQueries:
        """Queries of the database."""
        return DatabaseQueries(self.settings, self.database)

    @cached_property
    def jobs(self) -> JobService:
        """The queue of jobs."""
        return JobService(self.settings, self.database)

    @cached_property
    def people(self) -> PeopleService:
        """Known people."""
        return PeopleService(self.settings, self.database)

    @cached_property
    def erasure(self) -> ErasureService:
        """Erasure of people."""
        return ErasureService(self.settings, self.database)

    @cached_property
    def runs(self) -> Runs:
        """Runs in the home."""
        return Runs(self.settings, self.database)

    @cached_property
    def run_queries(self) -> RunQueries:
        """Queries of the runs in the home."""
        return RunQueries(self.runs, self.jobs.latest)

    @cached_property
    def videos(self) -> VideoService:
        """Videos and their files."""
        return VideoService(self.settings, self.database)

    @cached_property
    def hub(self) -> Hub:
        """Event streams of runs."""
        return Hub(self.database, self.jobs.latest)

    @cached_property
    def authenticator(self) -> Authenticator:
        """Authentication of tokens and sessions."""
        return Authenticator(self.access)

    @cached_property
    def metrics(self) -> Metrics:
        """Metrics for Prometheus."""
        return Metrics()

    @cached_property
    def buckets(self) -> Buckets:
        """Rate limits of callers."""
        return Buckets(self.settings.rate_per_s)

    @property
    def home(self) -> Path:
        """Absolute path of the folder of runs and uploads."""
        return self.settings.home.expanduser().absolute()
