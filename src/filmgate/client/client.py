"""HTTP client with one method for each operation of the service."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from filmgate.client.events import ServerEvent, parse_events, split_lines
from filmgate.client.queries import Param, QueryMethods
from filmgate.core.access import parse_token
from filmgate.core.answers import ErasureAnswer, SnapshotAnswer
from filmgate.core.digest import JsonDict
from filmgate.core.errors import FilmgateError, Invalid, Unavailable
from filmgate.core.jobs import JobAnswer, JobRequest, JobsAnswer
from filmgate.core.runs import (
    LogsAnswer,
    RunsAnswer,
    StatusAnswer,
    UploadAnswer,
    VideoAnswer,
    VideosAnswer,
)
from filmgate.core.selection import Selection

Answer = TypeVar("Answer", bound=BaseModel)

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 3600.0
STREAM_TIMEOUT_S = 60.0
"""Timeout of a stream; the service sends a keep-alive every 15 seconds."""

MAX_ATTEMPTS = 4
"""Maximum number of attempts of a GET request if the service is unavailable."""

MAX_STREAM_ATTEMPTS = 7
"""Maximum number of successive attempts to open a stream; their pauses add up to half a minute."""

LONGEST_PAUSE_S = 10.0
POLL_S = 0.5
NO_MORE_EVENTS = 204
"""HTTP status of the response if the client has already received the end of the stream."""


class Client(QueryMethods):
    """Client of one service with one token. It is not thread-safe; use one client per thread.

        with Client("http://127.0.0.1:8321", token="fg_…") as filmgate:
            video = filmgate.upload("film.mp4")
            job = filmgate.run("episode", asset_id=video.asset_id)
            for event in filmgate.events(job.asset_id, job.run_id):
                print(event.kind, event.data)
            hit = filmgate.jump(video.asset_id, "scene", from_ms=9000)

    Methods return the values that `filmgate … --json` prints. Errors of the service are raised as
    the classes in `filmgate.core.errors`, which the command line also uses.
    """

    def __init__(
        self, url: str, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        token = token.strip() if token is not None else None
        if token is not None and parse_token(token) is None:
            raise Invalid(
                "the token is invalid", expected="fg_…, as printed by `filmgate tokens create`"
            )
        if not url.startswith(("http://", "https://")):
            raise Invalid("the URL is invalid", expected="http://… or https://…", got=repr(url))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_S, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(
        self, video: str | Path, asset_id: str | None = None, file_name: str | None = None
    ) -> UploadAnswer:
        """Upload a video; idempotent for the same bytes."""
        path = Path(video)
        params = {"asset_id": asset_id, "filename": file_name or path.name}
        with path.open("rb") as file:
            request = self._http.build_request(
                "POST",
                "/v1/videos",
                params=_without_none(params),
                content=file,
                headers={"content-type": "application/octet-stream"},
                timeout=UPLOAD_TIMEOUT_S,
            )
            response = self._send(request)
        return UploadAnswer.model_validate_json(response.content)

    def videos(self) -> Iterator[VideoAnswer]:
        """List all videos, one page at a time."""
        for page in self.query_pages("/v1/videos", {}, VideosAnswer):
            yield from page.videos

    def video(self, asset_id: str) -> VideoAnswer:
        """Get a video."""
        return self._get(f"/v1/videos/{asset_id}", {}, VideoAnswer)

    def run(self, pipeline: str, **fields: object) -> JobAnswer:
        """Submit a job with the fields of `JobRequest`; it is queued when this returns."""
        request = JobRequest.model_validate(fields)
        body = request.model_dump_json(exclude_unset=True)
        return self._write("POST", f"/jobs/{pipeline}-run", body, JobAnswer)

    def job(self, job_id: int) -> JobAnswer:
        """Get the state of a job."""
        return self._get(f"/jobs/{job_id}", {}, JobAnswer)

    def jobs(self, **filters: Param) -> Iterator[JobAnswer]:
        """List jobs, the latest first. Filters: `pipeline`, `asset_id`, `submitted_by`, `open`."""
        for page in self.query_pages("/jobs", filters, JobsAnswer):
            yield from page.jobs

    def cancel(self, job_id: int) -> JobAnswer:
        """Request the cancellation of a job."""
        return self._write("POST", f"/jobs/{job_id}/cancel", None, JobAnswer)

    def wait(self, job: JobAnswer, timeout_s: float = 3600.0) -> JobAnswer:
        """Wait until a job has ended; keep waiting while the service is unavailable.

        Raises Unavailable if the job has not ended after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        after: str | None = None
        while time.monotonic() < deadline:
            with suppress(Unavailable, httpx.TransportError):
                now = self.job(job.job_id)
                if now.state.is_over:
                    return now
                for event in self._stream(job.asset_id, job.run_id, after):
                    if event is not None:
                        after = event.event_id or after
                    if time.monotonic() > deadline:
                        break
            time.sleep(POLL_S)
        raise Unavailable(f"job {job.job_id} has not ended", expected=f"its end in {timeout_s:g} s")

    def events(
        self, asset_id: str, run_id: str | None = None, after: str | None = None
    ) -> Iterator[ServerEvent]:
        """Yield the events of a run until the run ends; resume the stream if it is interrupted.

        Raises Unavailable if the service is unavailable for more than half a minute.
        """
        return (event for event in self._follow(asset_id, run_id, after) if event is not None)

    def _follow(
        self, asset_id: str, run_id: str | None, after: str | None
    ) -> Iterator[ServerEvent | None]:
        failed = 0
        while True:
            try:
                for event in self._stream(asset_id, run_id, after):
                    failed = 0
                    yield event
                    if event is not None:
                        after = event.event_id or after
                        if event.kind == "end":
                            return
                if after is not None:
                    self.status(asset_id, run_id)  # raises the error if access was revoked
            except (httpx.TransportError, Unavailable) as error:
                failed += 1
                if failed >= MAX_STREAM_ATTEMPTS:
                    raise _unavailable(error) from error
            time.sleep(min(LONGEST_PAUSE_S, POLL_S * 2**failed))

    def status(self, asset_id: str, run_id: str | None = None) -> StatusAnswer:
        """Get the status of a run."""
        return self._get(f"/episodes/{asset_id}/status", {"run_id": run_id}, StatusAnswer)

    def runs(self, asset_id: str) -> RunsAnswer:
        """List the runs of an asset."""
        return self._get(f"/episodes/{asset_id}/runs", {}, RunsAnswer)

    def logs(self, asset_id: str, stage: str, run_id: str | None = None) -> Iterator[JsonDict]:
        """Yield the events that the log of a stage contains now."""
        cursor: str | None = None
        while True:
            params = {"run_id": run_id, "cursor": cursor}
            page = self._get(f"/episodes/{asset_id}/logs/{stage}", params, LogsAnswer)
            yield from page.events
            if not page.events:
                return
            cursor = page.next_cursor

    def export(self, asset_id: str, run_id: str, to: str | Path) -> Path:
        """Save the PDF report of a run."""
        return self._save(f"/episodes/{asset_id}/runs/{run_id}/export", Path(to))

    def media(self, asset_id: str, to: str | Path) -> Path:
        """Save the file of a video."""
        return self._save(f"/v1/videos/{asset_id}/media", Path(to))

    def select(self, asset_id: str, artifact_type: str, selection: Selection) -> SnapshotAnswer:
        """Set the selection of an artifact type."""
        path = f"/v1/videos/{asset_id}/selections/{artifact_type}"
        return self._write("PUT", path, selection.model_dump_json(), SnapshotAnswer)

    def erase_person(self, person: str, *, dry_run: bool = False) -> ErasureAnswer:
        """Erase a person, by name or id, from the database and from all runs."""
        request = self._http.build_request(
            "DELETE",
            f"/v1/people/{quote(person, safe='')}",
            params={"dry_run": dry_run},
            timeout=UPLOAD_TIMEOUT_S,
        )
        return ErasureAnswer.model_validate_json(self._send(request).content)

    def query(self, path: str, parameters: Mapping[str, Param], answer: type[Answer]) -> Answer:
        """Answer a query by its path, also one that an installed package brings.

        `{name}` in the path is replaced by that parameter. Raises NotFound if nothing answers it.
        """
        in_path = {name for name in parameters if f"{{{name}}}" in path}
        filled = path.format_map({name: quote(str(parameters[name]), safe=":") for name in in_path})
        others = {name: value for name, value in parameters.items() if name not in in_path}
        return self._get(filled, others, answer)

    def query_pages(
        self, path: str, parameters: Mapping[str, Param], answer: type[Answer]
    ) -> Iterator[Answer]:
        """Yield the pages of an answer, from the one that `cursor` names."""
        cursor = parameters.get("cursor")
        while True:
            page = self.query(path, {**parameters, "cursor": cursor}, answer)
            yield page
            cursor = getattr(page, "next_cursor", None)
            if cursor is None:
                return

    def _get(self, path: str, params: Mapping[str, Param], model: type[Answer]) -> Answer:
        request = self._http.build_request("GET", path, params=_without_none(params))
        response = self._send(request)
        return model.model_validate_json(response.content)

    def _write(self, method: str, path: str, body: str | None, model: type[Answer]) -> Answer:
        headers = {"content-type": "application/json"}
        request = self._http.build_request(method, path, content=body, headers=headers)
        response = self._send(request)
        return model.model_validate_json(response.content)

    def _stream(
        self, asset_id: str, run_id: str | None, after: str | None
    ) -> Iterator[ServerEvent | None]:
        path = f"/episodes/{asset_id}/events"
        headers = {"last-event-id": after} if after else {}
        with self._http.stream(
            "GET",
            path,
            params=_without_none({"run_id": run_id}),
            headers=headers,
            timeout=STREAM_TIMEOUT_S,
        ) as response:
            if response.is_error:
                response.read()
                raise _parse_error(response)
            if response.status_code == NO_MORE_EVENTS:
                yield ServerEvent(kind="end", data={}, event_id=after)
                return
            yield from parse_events(split_lines(response.iter_bytes()))

    def _save(self, path: str, to: Path) -> Path:
        """Download to a temporary file, then rename it, so that `to` is never incomplete."""
        draft = to.with_name(f".{to.name}.part")
        try:
            with self._http.stream("GET", path, timeout=UPLOAD_TIMEOUT_S) as response:
                if response.is_error:
                    response.read()
                    raise _parse_error(response)
                with draft.open("wb") as file:
                    for block in response.iter_bytes():
                        file.write(block)
            draft.replace(to)
        except httpx.TransportError as error:
            raise _unavailable(error) from error
        finally:
            draft.unlink(missing_ok=True)
        return to

    def _send(self, request: httpx.Request) -> httpx.Response:
        """Send a request. GET requests are retried while the service is unavailable."""
        max_attempts = MAX_ATTEMPTS if request.method == "GET" else 1
        for attempt in range(1, max_attempts + 1):
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if attempt == max_attempts:
                    raise _unavailable(error) from error
                time.sleep(POLL_S * attempt)
                continue
            if response.is_success:
                return response
            refusal = _parse_error(response)
            if not isinstance(refusal, Unavailable) or attempt == max_attempts:
                raise refusal
            after = response.headers.get("retry-after", "1")
            pause_s = float(after) if after.isdigit() else 1.0
            time.sleep(min(LONGEST_PAUSE_S, pause_s))
        raise AssertionError("the loop returns or raises in its last iteration")


def _without_none(params: Mapping[str, Param]) -> dict[str, Param]:
    return {name: value for name, value in params.items() if value is not None}


def _unavailable(error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        "the service is unavailable",
        got=str(error) or type(error).__name__,
        hint="Start it with `filmgate serve`",
    )


def _parse_error(response: httpx.Response) -> FilmgateError:
    """Convert an error response to an instance of the error class that the service raised."""
    try:
        body = response.json()
        code, details = str(body["error"]), dict(body["details"])
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(
            f"the response with HTTP status {response.status_code} is not from Filmgate",
            got=response.text[:200],
            hint="Check the URL",
        )
    error_class = _ERROR_CLASSES.get(code, FilmgateError)
    parts = {name: details.pop(name, None) for name in ("expected", "got", "hint")}
    short = message.removesuffix(str(FilmgateError("", **parts)))
    return error_class(short, **parts, **details)


def _classes_by_code(base: type[FilmgateError]) -> dict[str, type[FilmgateError]]:
    found = {base.code: base} if "code" in vars(base) else {}
    for subclass in base.__subclasses__():
        found |= _classes_by_code(subclass)
    return found


_ERROR_CLASSES = _classes_by_code(FilmgateError)
