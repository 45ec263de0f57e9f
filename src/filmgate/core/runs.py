"""Runs and videos, as those who ask over HTTP see them."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import Field

from filmgate.core.answers import Answer, DataSource
from filmgate.core.jobs import JobAnswer
from filmgate.core.manifest import Blocked
from filmgate.core.records import ItemError, StageError


class StageStatus(Answer):
    """A stage, as the fold of the run's records has it."""

    status: str
    attempt: int
    started: datetime | None = None
    ended: datetime | None = None
    duration_s: float | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()
    item_errors: tuple[ItemError, ...] = ()
    error: StageError | None = None
    reason: str | None = None
    """Why it was skipped."""
    blocked: Blocked | None = None
    """Every reason why its gate is closed, and what to do about each."""
    is_derived: bool
    """Whether the state is concluded, and no record says just that."""
    derived_from: str
    done: float | None = None
    """While it is at work: how much of `total` is done, as its runner said last."""
    total: float | None = None


class StatusAnswer(Answer):
    """How a run stands, derived anew from its records."""

    asset_id: str
    run_id: str | None
    """None of a run that only an older layout tells of, without saying its id."""
    pipeline: str
    status: str
    profile: str | None
    revision: int | None
    stages: dict[str, StageStatus]
    suggested_actions: tuple[str, ...]
    """What to do where gates are closed, each once."""
    is_at_work: bool
    """Whether a runner holds the run."""
    is_suspect: bool
    """Whether one does that has not been heard of for long."""
    has_died: bool
    """Whether a stage was begun, and nobody holds the run."""
    silence_s: float | None
    """Since its runner was heard of last."""
    sealed_to: str | None
    """Where it was published; it does not change any more."""
    metrics: dict[str, Any]
    is_derived: bool
    derived_from: str
    data_source: DataSource
    job: JobAnswer | None
    """The latest job on it, where there is one."""


class RunEntry(Answer):
    """A run in a list."""

    asset_id: str
    run_id: str | None
    pipeline: str
    status: str
    profile: str | None
    created_at: datetime | None
    updated_at: datetime | None
    data_source: DataSource


class RunsAnswer(Answer):
    """Runs of an asset that lie in this installation's home, oldest first."""

    asset_id: str
    runs: tuple[RunEntry, ...]
    unreadable: tuple[str, ...]
    """Folders of runs that cannot be read, by name."""


class LogsAnswer(Answer):
    """What a stage told."""

    asset_id: str
    run_id: str
    stage: str
    events: tuple[dict[str, Any], ...]
    next_cursor: str
    """Where what comes later begins."""

    @classmethod
    def of(
        cls, asset_id: str, run_id: str, stage: str, lines: Iterable[str], place: str
    ) -> "LogsAnswer":
        """Of lines as they stand in a log; one that a crash tore is told as it is."""
        events = []
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                told = None
            torn = line.encode("utf-8", "replace").decode()
            events.append(told if isinstance(told, dict) else {"torn": torn})
        return cls(
            asset_id=asset_id, run_id=run_id, stage=stage, events=tuple(events), next_cursor=place
        )


class IngestedRun(Answer):
    """A run that the database knows, made here or elsewhere."""

    run_id: str
    producer: str
    pipeline: str
    model_profile: str
    status: str
    created_at: datetime
    finished_at: datetime | None
    artifacts: dict[str, int]
    """How many of each type were taken in."""


class IngestedRunsAnswer(Answer):
    """The runs of a video that the database knows, the latest first."""

    asset_id: str
    runs: tuple[IngestedRun, ...]
    next_cursor: str | None


class VideoAnswer(Answer):
    """A video."""

    asset_id: str
    input_hash: str
    size_bytes: int
    file_name: str
    media: dict[str, Any]
    runs: int
    """How many the database knows."""
    completed: int
    """How many of them are completed."""
    has_media: bool | None
    """Whether its file lies here and can be played; not looked for in lists."""
    data_source: DataSource


class VideosAnswer(Answer):
    """Videos, by id."""

    videos: tuple[VideoAnswer, ...]
    next_cursor: str | None


class UploadAnswer(Answer):
    """A file that came in whole."""

    asset_id: str
    input_hash: str
    size_bytes: int
    file_name: str
    media: dict[str, Any]
    is_known: bool
    """Whether the same bytes lay there already."""
