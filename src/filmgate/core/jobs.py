"""Jobs: requests to run a pipeline in a worker, and their states."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.answers import Answer
from filmgate.core.pipeline import DEFAULT_PROFILE

PRIORITIES = 100
"""Highest priority of a job; the lowest is the same number with a minus sign."""


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether the state is final."""
        return self not in {JobState.QUEUED, JobState.RUNNING}


Name = Annotated[str, Field(min_length=1, max_length=200)]


SettingName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}\.[A-Za-z0-9_]{1,64}$")]


class JobRequest(BaseModel):
    """A request for a run, with the options of `filmgate run` and the same defaults."""

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
    """Id of an uploaded video, or the asset id to give to `source`."""
    source: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """A file or folder on the server, in one of FILMGATE_SOURCES; by default the uploaded video."""
    run_id: Name | None = None
    """Id of the run to start or resume; by default the newest unfinished run on the same input is
    resumed, or a new one is started."""
    new: bool = False
    """Always start a new run."""
    env: Name | None = None
    profile: Name = DEFAULT_PROFILE
    settings: Annotated[dict[SettingName, Any], Field(max_length=200)] = Field(default_factory=dict)
    """Values by `STAGE.SETTING`."""
    stages: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Stages to run; the others are only verified."""
    resume_from: Name | None = None
    """Run this stage and all stages after it."""
    force: bool = False
    """Run stages again that are up to date."""
    repair: bool = False
    """Make missing or altered files again."""
    strict: bool = False
    """Fail a stage when one of its items fails."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of stages, and of items, that run in parallel."""
    priority: Annotated[int, Field(ge=-PRIORITIES, le=PRIORITIES)] = 0
    """Jobs of higher priority are started first."""


class JobOutcome(BaseModel):
    """The outcome of one try at a job."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    exit_code: int
    """Exit code of the corresponding `filmgate run`."""
    run_status: str | None = None
    """Status of the run at the end of the try."""
    error: dict[str, Any] | None = None
    """The error document; None without an error."""
    notes: tuple[str, ...] = ()
    """Further messages for people."""


class JobAnswer(Answer):
    """A job."""

    job_id: int
    run_id: str
    asset_id: str
    pipeline: str
    state: JobState
    priority: int
    tries: int
    """Number of times that a worker started the job."""
    submitted_by: str
    submitted_at: datetime
    started_at: datetime | None
    """When the job was started last."""
    ended_at: datetime | None
    worker: str | None
    """Worker that runs the job or ran it last."""
    is_cancel_asked: bool
    """Whether cancellation of the job was requested while the job still runs."""
    outcome: JobOutcome | None
    """Outcome of the last try."""
    request: JobRequest


class JobsAnswer(Answer):
    """A page of jobs, latest first."""

    jobs: tuple[JobAnswer, ...]
    next_cursor: str | None
