"""Jobs: runs that are asked for now, and done by workers."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from filmgate.api.answering import answered
from filmgate.api.parameters import ID, Cursor, Limit, Operator, Serving, noted
from filmgate.core.jobs import JobAnswer, JobRequest, JobsAnswer

router = APIRouter(prefix="/jobs", tags=["jobs"])

PIPELINE = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
JobId = Annotated[int, Path(ge=1, le=2**53, description="The id that a submission gave.")]


@router.post("/{pipeline}-run", response_model=JobAnswer, status_code=202)
def submit(
    request: Request,
    service: Serving,
    who: Operator,
    pipeline: Annotated[
        str, Path(pattern=PIPELINE, description="Which pipeline.", examples=["episode"])
    ],
    asked: JobRequest,
) -> Response:
    """Ask for a run. It is reserved and queued when this answers; a worker does it.

    409 where a job on that run is not over yet.
    """
    job = service.jobs.submit(pipeline, asked, who)
    noted(request, job_id=job.job_id, asset_id=job.asset_id, run_id=job.run_id)
    response = answered(request, job, 202)
    response.headers["location"] = f"/jobs/{job.job_id}"
    return response


@router.get("", response_model=JobsAnswer)
def list_jobs(
    request: Request,
    service: Serving,
    pipeline: Annotated[str | None, Query(pattern=PIPELINE)] = None,
    asset_id: Annotated[str | None, Query(pattern=ID)] = None,
    submitted_by: Annotated[str | None, Query(pattern=ID)] = None,
    is_open: Annotated[bool, Query(alias="open", description="Only those not over.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Jobs, the latest first."""
    answer = service.jobs.all(
        pipeline=pipeline,
        asset_id=asset_id,
        submitted_by=submitted_by,
        is_open=is_open,
        limit=limit,
        cursor=cursor,
    )
    return answered(request, answer)


@router.get("/{job_id}", response_model=JobAnswer)
def get_job(request: Request, service: Serving, job_id: JobId) -> Response:
    """How a job stands."""
    return answered(request, service.jobs.get(job_id))


@router.post("/{job_id}/cancel", response_model=JobAnswer)
def cancel(request: Request, service: Serving, who: Operator, job_id: JobId) -> Response:
    """Cancel a job: taken out of the queue, or asked to stop. What is committed stays, and the run
    can go on later. One that is over stays as it is."""
    job = service.jobs.get(job_id)
    who.own(job.submitted_by, f"job {job_id}")
    noted(request, job_id=job_id, asset_id=job.asset_id, run_id=job.run_id)
    return answered(request, service.jobs.cancel(job_id))
