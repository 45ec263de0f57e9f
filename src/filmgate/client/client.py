"""The client: a method for each thing that the service does."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from filmgate.client.events import Event, lines_of, read_events
from filmgate.core.access import read_token
from filmgate.core.answers import (
    ArtifactPage,
    AskAnswer,
    FindAnswer,
    JumpAnswer,
    PeopleAnswer,
    ProfilesAnswer,
    ProvenanceAnswer,
    ScreentimeAnswer,
    SearchAnswer,
    SnapshotAnswer,
)
from filmgate.core.envelope import Envelope, LegacyArtifact
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

A = TypeVar("A", bound=BaseModel)

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 3600.0
STREAM_TIMEOUT_S = 60.0
"""The service says that it is still there every fifteen seconds."""

TRIES = 4
"""Of a question, where the service is away for a moment."""

STREAM_TRIES = 7
"""Of a stream that gives nothing, one after another: half a minute."""

LONGEST_PAUSE_S = 10.0
POLL_S = 0.5
NOTHING_MORE = 204
"""The status of a stream that was followed to its end before."""


class Client:
    """One service, one token. Not for several threads at once; use one each."""

    def __init__(
        self, url: str, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        token = token.strip() if token is not None else None
        if token is not None and read_token(token) is None:
            raise Invalid("this is no token", expected="fg_…, as `filmgate tokens create` tells it")
        if not url.startswith(("http://", "https://")):
            raise Invalid("this is no address", expected="http://… or https://…", got=repr(url))
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=TIMEOUT_S, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def upload(
        self, video: str | Path, asset_id: str | None = None, file_name: str | None = None
    ) -> UploadAnswer:
        """Send a video; the same bytes again change nothing."""
        path = Path(video)
        asked = {"asset_id": asset_id, "filename": file_name or path.name}
        with path.open("rb") as file:
            response = self._send(
                "POST",
                "/v1/videos",
                params=_given(asked),
                content=file,
                headers={"content-type": "application/octet-stream"},
                timeout=UPLOAD_TIMEOUT_S,
            )
        return UploadAnswer.model_validate_json(response.content)

    def videos(self) -> Iterator[VideoAnswer]:
        """Every video, page by page."""
        for page in self._pages("/v1/videos", {}, VideosAnswer):
            yield from page.videos

    def video(self, asset_id: str) -> VideoAnswer:
        """A video."""
        return self._get(f"/v1/videos/{asset_id}", {}, VideoAnswer)

    def run(self, pipeline: str, **asked: Any) -> JobAnswer:
        """Ask for a run, with the fields of `JobRequest`; it is queued when this returns."""
        request = JobRequest.model_validate(asked)
        body = request.model_dump_json(exclude_unset=True)
        return self._post(f"/jobs/{pipeline}-run", body, JobAnswer)

    def job(self, job_id: int) -> JobAnswer:
        """How a job stands."""
        return self._get(f"/jobs/{job_id}", {}, JobAnswer)

    def jobs(self, **asked: Any) -> Iterator[JobAnswer]:
        """Jobs, the latest first; by `pipeline`, `asset_id`, `submitted_by`, `open`."""
        for page in self._pages("/jobs", asked, JobsAnswer):
            yield from page.jobs

    def cancel(self, job_id: int) -> JobAnswer:
        """Ask a job to stop."""
        return self._post(f"/jobs/{job_id}/cancel", None, JobAnswer)

    def wait(self, job: JobAnswer, timeout_s: float = 3600.0) -> JobAnswer:
        """Wait until a job is over, on its events, also where the service is away meanwhile;
        Unavailable where it takes longer."""
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
        raise Unavailable(f"job {job.job_id} is not over yet", expected=f"within {timeout_s:g} s")

    def events(
        self, asset_id: str, run_id: str | None = None, after: str | None = None
    ) -> Iterator[Event]:
        """A run as it goes, until its end; broken off, it goes on from where it was. Unavailable
        where the service is away for more than half a minute."""
        return (each for each in self._followed(asset_id, run_id, after) if each is not None)

    def _followed(
        self, asset_id: str, run_id: str | None, after: str | None
    ) -> Iterator[Event | None]:
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
                    self.status(asset_id, run_id)  # raises where it was ended for that
            except (httpx.TransportError, Unavailable) as error:
                failed += 1
                if failed >= STREAM_TRIES:
                    raise _away(error) from error
            time.sleep(min(LONGEST_PAUSE_S, POLL_S * 2**failed))

    def status(self, asset_id: str, run_id: str | None = None) -> StatusAnswer:
        """How a run stands."""
        return self._get(f"/episodes/{asset_id}/status", {"run_id": run_id}, StatusAnswer)

    def runs(self, asset_id: str) -> RunsAnswer:
        """The runs of an asset."""
        return self._get(f"/episodes/{asset_id}/runs", {}, RunsAnswer)

    def logs(
        self, asset_id: str, stage: str, run_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """What a stage told so far."""
        cursor: str | None = None
        while True:
            asked = {"run_id": run_id, "cursor": cursor}
            page = self._get(f"/episodes/{asset_id}/logs/{stage}", asked, LogsAnswer)
            yield from page.events
            if not page.events:
                return
            cursor = page.next_cursor

    def export(self, asset_id: str, run_id: str, to: str | Path) -> Path:
        """Save a run's report, a PDF."""
        return self._save(f"/episodes/{asset_id}/runs/{run_id}/export", Path(to))

    def media(self, asset_id: str, to: str | Path) -> Path:
        """Save a video's file."""
        return self._save(f"/v1/videos/{asset_id}/media", Path(to))

    def jump(self, asset_id: str, kind: str, **asked: Any) -> JumpAnswer:
        """The next thing of a kind, or the previous one (`direction="prev"`); NotFound where
        there is none."""
        return self._get(f"/v1/videos/{asset_id}/jump", {"kind": kind, **asked}, JumpAnswer)

    def find(self, asset_id: str, q: str, **asked: Any) -> FindAnswer:
        """Where words stand in a video."""
        return self._get(f"/v1/videos/{asset_id}/find", {"q": q, **asked}, FindAnswer)

    def search(self, q: str, **asked: Any) -> SearchAnswer:
        """Where words stand in all videos."""
        return self._get("/v1/search", {"q": q, **asked}, SearchAnswer)

    def artifacts(self, asset_id: str, **asked: Any) -> Iterator[Envelope | LegacyArtifact]:
        """Artifacts of a video in order of time, page by page; `type`: one, or a list."""
        for page in self._pages(f"/v1/videos/{asset_id}/artifacts", asked, ArtifactPage):
            yield from page.artifacts

    def screentime(self, asset_id: str, **asked: Any) -> ScreentimeAnswer:
        """How long everybody is on screen."""
        return self._get(f"/v1/videos/{asset_id}/screentime", asked, ScreentimeAnswer)

    def profiles(self, asset_id: str) -> ProfilesAnswer:
        """Under which profiles a video was looked at."""
        return self._get(f"/v1/videos/{asset_id}/profiles", {}, ProfilesAnswer)

    def selections(self, asset_id: str) -> SnapshotAnswer:
        """What a video is served from."""
        return self._get(f"/v1/videos/{asset_id}/selections", {}, SnapshotAnswer)

    def select(self, asset_id: str, artifact_type: str, selection: Selection) -> SnapshotAnswer:
        """Choose what a type is served from."""
        response = self._send(
            "PUT",
            f"/v1/videos/{asset_id}/selections/{artifact_type}",
            content=selection.model_dump_json(),
            headers={"content-type": "application/json"},
        )
        return SnapshotAnswer.model_validate_json(response.content)

    def provenance(self, artifact_id: str) -> ProvenanceAnswer:
        """Where an artifact comes from."""
        return self._get(f"/v1/artifacts/{artifact_id}/provenance", {}, ProvenanceAnswer)

    def people(self) -> PeopleAnswer:
        """Everybody who is known."""
        return self._get("/v1/people", {}, PeopleAnswer)

    def ask(self, q: str, **asked: Any) -> AskAnswer:
        """The passages of rulebooks that answer a question."""
        return self._get("/v1/rulebooks/ask", {"q": q, **asked}, AskAnswer)

    def _get(self, path: str, asked: Mapping[str, Any], kind: type[A]) -> A:
        return kind.model_validate_json(self._send("GET", path, params=_given(asked)).content)

    def _post(self, path: str, body: str | None, kind: type[A]) -> A:
        headers = {"content-type": "application/json"}
        response = self._send("POST", path, content=body, headers=headers)
        return kind.model_validate_json(response.content)

    def _pages(self, path: str, asked: Mapping[str, Any], kind: type[A]) -> Iterator[A]:
        cursor: str | None = None
        while True:
            page = self._get(path, {**asked, "cursor": cursor}, kind)
            yield page
            cursor = getattr(page, "next_cursor", None)
            if cursor is None:
                return

    def _stream(
        self, asset_id: str, run_id: str | None, after: str | None
    ) -> Iterator[Event | None]:
        path = f"/episodes/{asset_id}/events"
        headers = {"last-event-id": after} if after else {}
        with self._http.stream(
            "GET",
            path,
            params=_given({"run_id": run_id}),
            headers=headers,
            timeout=STREAM_TIMEOUT_S,
        ) as response:
            if response.is_error:
                response.read()
                raise _refusal(response)
            if response.status_code == NOTHING_MORE:
                yield Event(kind="end", data={}, event_id=after)
                return
            yield from read_events(lines_of(response.iter_bytes()))

    def _save(self, path: str, to: Path) -> Path:
        """Download beside its place, then give it its name: never half a file."""
        draft = to.with_name(f".{to.name}.part")
        try:
            with self._http.stream("GET", path, timeout=UPLOAD_TIMEOUT_S) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                with draft.open("wb") as file:
                    for piece in response.iter_bytes():
                        file.write(piece)
            draft.replace(to)
        except httpx.TransportError as error:
            raise _away(error) from error
        finally:
            draft.unlink(missing_ok=True)
        return to

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask; where that changes nothing, again after a while where the service is away."""
        tries = TRIES if method == "GET" else 1
        for number in range(1, tries + 1):
            try:
                response = self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if number == tries:
                    raise _away(error) from error
                time.sleep(POLL_S * number)
                continue
            if response.is_success:
                return response
            refusal = _refusal(response)
            if not isinstance(refusal, Unavailable) or number == tries:
                raise refusal
            after = response.headers.get("retry-after", "1")
            pause_s = float(after) if after.isdigit() else 1.0
            time.sleep(min(LONGEST_PAUSE_S, pause_s))
        raise AssertionError("a loop of at least one round ended without an answer")


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


def _away(error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        "the service does not answer",
        got=str(error) or type(error).__name__,
        hint="`filmgate serve` starts it",
    )


def _refusal(response: httpx.Response) -> FilmgateError:
    """The error that the service told, as the kind that it was there."""
    try:
        told = response.json()
        code, details = str(told["error"]), dict(told["details"])
        message = str(told["message"])
    except (ValueError, KeyError, TypeError):
        return Unavailable(
            f"this is no answer of Filmgate: HTTP {response.status_code}",
            got=response.text[:200],
            hint="Is the address right?",
        )
    kind = _KINDS.get(code, FilmgateError)
    plain = {name: details.pop(name, None) for name in ("expected", "got", "hint")}
    short = message.removesuffix(str(FilmgateError("", **plain)))
    return kind(short, **plain, **details)


def _kinds(kind: type[FilmgateError]) -> dict[str, type[FilmgateError]]:
    found = {kind.code: kind} if "code" in vars(kind) else {}
    for each in kind.__subclasses__():
        found |= _kinds(each)
    return found


_KINDS = _kinds(FilmgateError)
