"""Jobs: requests to run a pipeline in a worker, and their states."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from filmgate.core.command import Answer
from filmgate.core.digest import JsonDict
from filmgate.core.run_request import RunRequest

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


class JobRequest(RunRequest):
    """A request for a run, with the options of `filmgate run` and the same defaults."""

    model_config = ConfigDict(
        defer_build=False,  # a deferred body makes FastAPI warn
        json_schema_extra={
            "examples": [
                {"asset_id": "gatecheck-s01e01", "profile": "fast"},
                {"asset_id": "gatecheck-s01e01", "stages": ["scenes"], "force": True},
                {"source": "books/", "env": "dev", "run_id": "winter-printing"},
            ]
        },
    )

    source: Annotated[
        Annotated[str, Field(min_length=1, max_length=4096)] | None,
        Field(
            description="A file or folder on the server, in one of FILMGATE_SOURCES. Default: the "
            "uploaded video `asset_id`."
        ),
    ] = None
    options: Annotated[
        dict[str, JsonValue],
        Field(description="Options of the pipeline, beside those of every run."),
    ] = Field(default_factory=dict)
    priority: Annotated[
        int,
        Field(
            strict=True,
            ge=-PRIORITIES,
            le=PRIORITIES,
            description="Jobs of higher priority are started first.",
        ),
    ] = 0


class JobOutcome(BaseModel):
    """The outcome of one try at a job."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    exit_code: int
    """Exit code of the corresponding `filmgate run`."""
    run_status: str | None = None
    """Status of the run at the end of the try."""
    error: JsonDict | None = None
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
