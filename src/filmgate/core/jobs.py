"""Jobs: what is asked of a pipeline to be done by a worker, and how that stands."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.answers import Answer
from filmgate.core.pipeline import DEFAULT_PROFILE

PRIORITIES = 100
"""Priorities go from minus this to this; higher ones are taken first."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


Name = Annotated[str, Field(min_length=1, max_length=200)]


SettingName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}\.[A-Za-z0-9_]{1,64}$")]


class JobRequest(BaseModel):
    """What is asked for, as `filmgate run` takes it; what is left out means the usual."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"asset_id": "gatecheck-s01e01", "profile": "fast"},
                {"asset_id": "gatecheck-s01e01", "stages": ["scenes"], "force": True},
                {"source": "books/", "env": "dev", "run_id": "winter-printing"},
            ]
        },
    )

    asset_id: Name | None = None
    """A video that was uploaded, or what a `source` is to be called."""
    source: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A file or a folder on the server, in one of FILMGATE_SOURCES; with none, the uploaded
    video."""
    run_id: Name | None = None
    """Names the run, or goes on with it; without it the newest unfinished run on the same input is
    resumed, else one is begun."""
    new: bool = False
    """Always begin a new run."""
    env: Name | None = None
    profile: Name = DEFAULT_PROFILE
    settings: Annotated[dict[SettingName, Any], Field(max_length=200)] = Field(default_factory=dict)
    """Value by `STAGE.SETTING`."""
    stages: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Only these; others are verified."""
    resume_from: Name | None = None
    force: bool = False
    """Run again what is up to date."""
    repair: bool = False
    """Make missing or altered files again."""
    strict: bool = False
    """One bad item fails its stage."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Stages, and items, side by side."""
    priority: Annotated[int, Field(ge=-PRIORITIES, le=PRIORITIES)] = 0
    """Jobs of higher priority are taken first."""


class JobOutcome(BaseModel):
    """What came of a try at a job."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    exit_code: int
    """As `filmgate run` would end."""
    run_status: str | None = None
    """How the run stood then."""
    error: dict[str, Any] | None = None
    """The error body, where there is one."""
    notes: tuple[str, ...] = ()
    """What a person should know besides."""


class JobAnswer(Answer):
    """A job."""

    job_id: int
    run_id: str
    asset_id: str
    pipeline: str
    state: JobState
    priority: int
    tries: int
    """How often a worker began it."""
    submitted_by: str
    submitted_at: datetime
    started_at: datetime | None
    """When it was begun last."""
    ended_at: datetime | None
    worker: str | None
    """Who has it, or had it last."""
    is_cancel_asked: bool
    """Whether a running job was asked to stop, and has not yet."""
    outcome: JobOutcome | None
    """Of its last try."""
    request: JobRequest


class JobsAnswer(Answer):
    """Jobs, the latest first."""

    jobs: tuple[JobAnswer, ...]
    next_cursor: str | None
