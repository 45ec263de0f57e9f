"""Response models for runs and videos."""

import json
from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from filmgate.core.answers import DataSource
from filmgate.core.command import Answer
from filmgate.core.digest import JsonDict
from filmgate.core.jobs import JobAnswer
from filmgate.core.manifest import Blocked
from filmgate.core.records import ItemError, StageError


class StageStatus(Answer):
    """The state of a stage, derived from the run's records."""

    status: str
    attempt: int
    started: datetime | None = None
    ended: datetime | None = None
    duration_s: float | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[JsonDict, ...] = ()
    item_errors: tuple[ItemError, ...] = ()
    error: StageError | None = None
    reason: str | None = None
    """Why the stage was skipped; None if it was not."""
    blocked: Blocked | None = None
    """All reasons why the stage's gate is closed, with actions; None if it is not blocked."""
    is_derived: bool
    """Whether the state differs from that of the record, or no record exists."""
    derived_from: str
    done: float | None = None
    """Completed amount of `total` while the stage runs, according to the runner's last report."""
    total: float | None = None


class StatusAnswer(Answer):
    """The status of a run, derived from its records."""

    asset_id: str
    run_id: str | None
    """None for a run of an older layout without run ids."""
    pipeline: str
    status: str
    profile: str | None
    revision: int | None
    stages: dict[str, StageStatus]
    suggested_actions: tuple[str, ...]
    """Actions that open the closed gates or resume the run, without duplicates."""
    is_at_work: bool
    """Whether a runner holds the run."""
    is_suspect: bool
    """Whether a runner holds the run but has sent no heartbeat for `SUSPECT_AFTER_S`."""
    has_died: bool
    """Whether a stage was started but not ended, and no runner holds the run."""
    silence_s: float | None
    """Seconds since the runner's last heartbeat; None without one."""
    sealed_to: str | None
    """Where the run was published; None if it may still change."""
    metrics: JsonDict
    is_derived: bool
    derived_from: str
    data_source: DataSource
    job: JobAnswer | None
    """The latest job of the run; None if the run has no job."""

    def for_share(self) -> "StatusAnswer":
        """Return the status without what may name paths, stores or users of the installation."""
        hidden = {"warnings": (), "item_errors": (), "error": None, "reason": None, "blocked": None}
        stages = {name: stage.model_copy(update=hidden) for name, stage in self.stages.items()}
        return self.model_copy(
            update={"stages": stages, "suggested_actions": (), "sealed_to": None, "job": None}
        )


class RunEntry(Answer):
    """An entry in a list of runs."""

    asset_id: str
    run_id: str | None
    pipeline: str
    status: str
    profile: str | None
    created_at: datetime | None
    updated_at: datetime | None
    data_source: DataSource


class RunsAnswer(Answer):
    """The runs of an asset in this installation's home, oldest first."""

    asset_id: str
    runs: tuple[RunEntry, ...]
    unreadable: tuple[str, ...]
    """Names of run folders that cannot be read."""


class LogsAnswer(Answer):
    """Log events of a stage."""

    asset_id: str
    run_id: str
    stage: str
    events: tuple[JsonDict, ...]
    next_cursor: str
    """Position from which later events are read."""

    @classmethod
    def from_lines(
        cls, asset_id: str, run_id: str, stage: str, lines: Iterable[str], next_cursor: str
    ) -> "LogsAnswer":
        """Parse the lines of a log; a line that a crash cut becomes the event `{"torn": line}`."""
        events = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            torn = line.encode("utf-8", "replace").decode()
            events.append(event if isinstance(event, dict) else {"torn": torn})
        return cls(
            asset_id=asset_id,
            run_id=run_id,
            stage=stage,
            events=tuple(events),
            next_cursor=next_cursor,
        )


class IngestedRun(Answer):
    """A run in the database, made by this or another installation."""

    run_id: str
    producer: str
    pipeline: str
    model_profile: str
    status: str
    created_at: datetime
    finished_at: datetime | None
    artifacts: dict[str, int]
    """Number of ingested artifacts, by type."""


class IngestedRunsAnswer(Answer):
    """The runs of a video in the database, latest first."""

    asset_id: str
    runs: tuple[IngestedRun, ...]
    next_cursor: str | None


class VideoAnswer(Answer):
    """A video."""

    asset_id: str
    input_hash: str
    size_bytes: int
    file_name: str
    media: JsonDict
    runs: int
    """Number of runs in the database."""
    completed: int
    """Number of completed runs in the database."""
    has_media: bool | None
    """Whether the video file is stored here and can be played; None in lists."""
    data_source: DataSource


class VideosAnswer(Answer):
    """A page of videos, sorted by id."""

    videos: tuple[VideoAnswer, ...]
    next_cursor: str | None


class UploadAnswer(Answer):
    """A completed upload."""

    asset_id: str
    input_hash: str
    size_bytes: int
    file_name: str
    media: JsonDict
    is_known: bool
    """Whether the same bytes were uploaded before."""
