"""Endpoint that erases a person; `GET /v1/people` is a query."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from filmgate.api.parameters import Admin, ServiceDep, add_audit_fields
from filmgate.api.responses import json_response
from filmgate.core.answers import ErasureAnswer

router = APIRouter(prefix="/v1", tags=["people"])


@router.delete("/people/{person}", response_model=ErasureAnswer)
def erase_person(
    request: Request,
    service: ServiceDep,
    _who: Admin,
    person: Annotated[
        str, Path(description="Name or id of the person.", max_length=500, examples=["lisa"])
    ],
    dry_run: Annotated[bool, Query(description="Only report what would be erased.")] = False,
) -> Response:
    """Erase a person from the database and from all runs, sealed ones included.

    The response lists published copies, which are not erased. Neither the audit log nor the access
    log contains the name or the id of the person.
    """
    answer = service.erasure.erase(person, dry_run=dry_run, is_audited=False)
    add_audit_fields(request, runs=len(answer.runs), dry_run=dry_run)
    return json_response(request, answer)
