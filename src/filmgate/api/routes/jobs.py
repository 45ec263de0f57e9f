"""Endpoints of jobs: submit, list, read, cancel."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from filmgate.api.parameters import Cursor, Limit, Operator, ServiceDep, add_audit_fields
from filmgate.api.responses import json_response
from filmgate.core.ids import ID_PATTERN
from filmgate.core.jobs import JobAnswer, JobRequest, JobsAnswer

router = APIRouter(prefix="/jobs", tags=["jobs"])

PIPELINE = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
JobId = Annotated[int, Path(ge=1, le=2**53, description="Id of the job.")]


@router.post("/{pipeline}-run", response_model=JobAnswer, status_code=202)
def submit(
    request: Request,
    service: ServiceDep,
    who: Operator,
    pipeline: Annotated[
        str, Path(pattern=PIPELINE, description="Name of the pipeline.", examples=["episode"])
    ],
    body: JobRequest,
) -> Response:
    """Submit a job. The response is sent when the run is reserved and the job is queued; a worker
    executes the job later. Returns 409 if the run has a job that has not ended."""
    job = service.jobs.submit(pipeline, body, who)
    add_audit_fields(request, job_id=job.job_id, asset_id=job.asset_id, run_id=job.run_id)
    response = json_response(request, job, 202)
    response.headers["location"] = f"/jobs/{job.job_id}"
    return response


@router.get("", response_model=JobsAnswer)
def list_jobs(
    request: Request,
    service: ServiceDep,
    pipeline: Annotated[str | None, Query(pattern=PIPELINE)] = None,
    asset_id: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    submitted_by: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    is_open: Annotated[
        bool, Query(alias="open", description="Only jobs that have not ended.")
    ] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """List jobs, the latest first."""
    answer = service.jobs.all(
        pipeline=pipeline,
        asset_id=asset_id,
        submitted_by=submitted_by,
        is_open=is_open,
        limit=limit,
        cursor=cursor,
    )
    return json_response(request, answer)


@router.get("/{job_id}", response_model=JobAnswer)
def get_job(request: Request, service: ServiceDep, job_id: JobId) -> Response:
    """Return a job with its state."""
    return json_response(request, service.jobs.get(job_id))


@router.post("/{job_id}/cancel", response_model=JobAnswer)
def cancel(request: Request, service: ServiceDep, who: Operator, job_id: JobId) -> Response:
    """Cancel a job: remove it from the queue, or ask it to stop if it runs. Committed stages are
    kept, and the run can be resumed later. A job that has ended is returned unchanged."""
    job = service.jobs.get(job_id)
    who.require_owner(job.submitted_by, f"job {job_id}")
    add_audit_fields(request, job_id=job_id, asset_id=job.asset_id, run_id=job.run_id)
    return json_response(request, service.jobs.cancel(job_id))
