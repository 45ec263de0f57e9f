"""Endpoints of jobs: submit, list, read, cancel."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import ConfigDict, Field, create_model
from starlette.convertors import StringConvertor, register_url_convertor

from filmgate.api.parameters import Cursor, Limit, Operator, ServiceDep, add_audit_fields
from filmgate.api.responses import json_response
from filmgate.api.service import Service
from filmgate.core.access import Caller
from filmgate.core.ids import ID_PATTERN
from filmgate.core.jobs import JobAnswer, JobRequest, JobsAnswer
from filmgate.core.pipeline import Pipeline
from filmgate.wiring import pipelines


class JobIdConvertor(StringConvertor):
    """Path segments that may be the id of a job: all but those of the endpoints that submit jobs,
    which support other methods."""

    regex = "[^/]+(?<!-run)"


class JobBody(JobRequest):
    """A request for a run of a pipeline, with the options of `filmgate run`."""

    model_config = ConfigDict(defer_build=False)  # else the parsers of FastAPI are built late, too


register_url_convertor("job_id", JobIdConvertor())
router = APIRouter(prefix="/jobs", tags=["jobs"])

EXAMPLE_NAMES = pipelines.names()[:1]
PIPELINE = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
JobId = Annotated[int, Path(ge=1, le=2**53, description="Id of the job.")]


def make_submit_router() -> APIRouter:
    """Return an endpoint for each installed pipeline, with its options, and one for other names."""
    submits = APIRouter(prefix="/jobs", tags=["jobs"])
    for pipeline in pipelines.load_all():
        name = pipeline.plan.pipeline
        submits.add_api_route(
            f"/{name}-run",
            _submit_endpoint(pipeline),
            methods=["POST"],
            response_model=JobAnswer,
            status_code=202,
            name=f"submit_{name.replace('-', '_')}",
            description=f"Run the pipeline {name}. {SUBMIT}",
        )
    submits.add_api_route(
        "/{pipeline}-run",
        _submit_to_any,
        methods=["POST"],
        response_model=JobAnswer,
        status_code=202,
        name="submit",
        description=f"Run a pipeline by its name. {SUBMIT}",
    )
    return submits


SUBMIT = """Submit a job. The response is sent when the run is reserved and the job is queued; a
worker executes the job later. Returns 409 if the run has a job that has not ended."""


def _submit_endpoint(pipeline: Pipeline) -> Callable[..., Response]:
    name = pipeline.plan.pipeline
    is_required = any(field.is_required() for field in pipeline.options.model_fields.values())
    default = Field() if is_required else Field(default_factory=pipeline.options)
    body_model = create_model(
        f"{name.title().replace('-', '').replace('_', '')}JobRequest",
        __base__=JobBody,
        __doc__=f"A request for a run of the pipeline {name}.",
        options=(pipeline.options, default),
    )

    def submit(
        request: Request,
        service: ServiceDep,
        who: Operator,
        body: body_model,
    ) -> Response:
        return _submit(request, service, who, name, body)

    return submit


def _submit_to_any(
    request: Request,
    service: ServiceDep,
    who: Operator,
    pipeline: Annotated[
        str, Path(pattern=PIPELINE, description="Name of the pipeline.", examples=EXAMPLE_NAMES)
    ],
    body: JobBody,
) -> Response:
    """Submit a job for a pipeline by its name, or raise the error for an unknown one."""
    return _submit(request, service, who, pipeline, body)


def _submit(
    request: Request, service: Service, who: Caller, pipeline: str, body: JobRequest
) -> Response:
    given = JobRequest.model_validate(body.model_dump(mode="json", exclude_unset=True))
    job = service.jobs.submit(pipeline, given, who)
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
    with service.jobs.store() as stored:
        answer = stored.all(
            pipeline=pipeline,
            asset_id=asset_id,
            submitted_by=submitted_by,
            is_open=is_open,
            limit=limit,
            cursor=cursor,
        )
    return json_response(request, answer)


@router.get("/{job_id:job_id}", response_model=JobAnswer)
def get_job(request: Request, service: ServiceDep, job_id: JobId) -> Response:
    """Return a job with its state."""
    with service.jobs.store() as stored:
        return json_response(request, stored.get(job_id))


@router.post("/{job_id}/cancel", response_model=JobAnswer)
def cancel(request: Request, service: ServiceDep, who: Operator, job_id: JobId) -> Response:
    """Cancel a job: remove it from the queue, or ask it to stop if it runs. Committed stages are
    kept, and the run can be resumed later. A job that has ended is returned unchanged."""
    with service.jobs.store() as stored:
        job = stored.get(job_id)
        who.require_owner(job.submitted_by, f"job {job_id}")
        add_audit_fields(request, job_id=job_id, asset_id=job.asset_id, run_id=job.run_id)
        return json_response(request, stored.cancel(job_id))
