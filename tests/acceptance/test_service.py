"""`filmgate serve`, used through the client and plain HTTP."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import BaseModel

from filmgate.api.examples import EXAMPLES
from filmgate.client import Client
from filmgate.core.access_answers import WhoAnswer
from filmgate.core.answers import ArtifactPage, FindAnswer, JumpAnswer
from filmgate.core.errors import Conflict, Invalid, NotFound, UsageError
from filmgate.core.jobs import JobAnswer, JobsAnswer, JobState
from filmgate.core.questions import SelectionMode
from filmgate.core.runs import UploadAnswer
from filmgate.core.selection import Selection
from support.films import film_of_shots
from support.served import LIGHT, Served, error_body, served, until

FILM = "gatecheck-s01e01"
CUES = "1\n00:00:00,200 --> 00:00:01,000\nNobody moves on until the gate is checked.\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    (folder / "cues.srt").write_text(CUES)
    return film_of_shots(folder / f"{FILM}.mkv", [25, 25, 25], subtitles=folder / "cues.srt")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served") / "home"
    with served(home, FILMGATE_DATABASE_URL=module_database_url) as running:
        yield running


@pytest.fixture(scope="module")
def done(service: Served, film: Path) -> JobAnswer:
    """Upload the film and run the pipeline on it; return the ended job."""
    with service.client() as client:
        client.upload(film)
        return client.wait(client.run("episode", asset_id=FILM, settings=LIGHT), 60)


@pytest.fixture
def client(service: Served, done: JobAnswer) -> Iterator[Client]:
    assert done.state is JobState.SUCCEEDED, done
    with service.client() as opened:
        yield opened


@pytest.fixture
def http(service: Served, done: JobAnswer) -> Iterator[httpx.Client]:
    assert done.state is JobState.SUCCEEDED, done
    with service.http() as opened:
        yield opened


def test_a_film_is_uploaded_run_and_queried(client: Client, done: JobAnswer, film: Path) -> None:
    video = client.video(FILM)
    assert video.input_hash == f"sha256:{hashlib.sha256(film.read_bytes()).hexdigest()}"
    assert (video.runs, video.completed, video.has_media) == (1, 1, True)
    assert FILM in [listed.asset_id for listed in client.videos()]

    jump = client.jump(FILM, "scene", from_ms=10)
    assert jump.artifact.span_start_ms == 1000
    assert jump.runs == {"scene": done.run_id}
    with pytest.raises(NotFound, match="no scene starts after 5000 ms"):
        client.jump(FILM, "scene", from_ms=5000)
    found = client.find(FILM, "gate checked")
    assert [hit.artifact.span_start_ms for hit in found.hits] == [200]
    assert client.search("nobody").hits[0].artifact == found.hits[0].artifact
    assert client.find(FILM, "absent").hits == ()
    profiles = client.profiles(FILM).profiles
    assert {profile.model_profile for profile in profiles} == {"balanced"}
    artifact_id = getattr(jump.artifact, "artifact_id", "")
    assert client.provenance(artifact_id).chain[0].stage == "scenes"
    assert client.status(FILM).stages["scenes"].status == "SUCCESS"
    assert [run.run_id for run in client.runs(FILM).runs] == [done.run_id]
    assert next(client.logs(FILM, "scenes"))["event"] == "stage.started"


def test_a_selection_is_stored_and_removed(
    client: Client, done: JobAnswer, http: httpx.Client
) -> None:
    pinned = Selection.of(run_id=done.run_id)
    served = client.select(FILM, "scene", pinned).served["scene"]
    assert (served.selection.mode, served.run_id) == (SelectionMode.PINNED, done.run_id)
    path = f"/v1/videos/{FILM}/selections/scene"
    assert http.get(path).json()["mode"] == "pinned"
    client.select(FILM, "scene", Selection())
    assert http.get(path).json()["mode"] == "default"
    with pytest.raises(UsageError, match="needs a profile"):
        client.select(FILM, "scene", Selection(mode=SelectionMode.PROFILE))


def test_pages_contain_every_artifact_once(http: httpx.Client, client: Client) -> None:
    whole = list(client.artifacts(FILM, type="scene"))
    assert len(whole) == 3
    paged, cursor = [], None
    for _ in range(3):
        params = {"type": "scene", "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = http.get(f"/v1/videos/{FILM}/artifacts", params=params).json()
        paged += page["artifacts"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert [artifact["span_start_ms"] for artifact in paged] == [0, 1000, 2000]


def test_an_unchanged_answer_is_not_sent_again(http: httpx.Client) -> None:
    for path in (f"/v1/videos/{FILM}/jump?kind=scene", f"/episodes/{FILM}/status", "/v1/videos"):
        first = http.get(path)
        again = http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = http.get(path, headers={"if-none-match": '"another"'})
        assert other.json() == first.json()


@pytest.mark.parametrize(
    ("range_header", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-50", -50, None)],
)
def test_a_range_of_a_film_contains_those_bytes(
    http: httpx.Client, film: Path, range_header: str, start: int, end: int | None
) -> None:
    data = film.read_bytes()
    response = http.get(f"/v1/videos/{FILM}/media", headers={"range": range_header})
    assert response.status_code == 206
    assert response.content == data[start:end]
    low = start % len(data)
    assert response.headers[
        "content-range"
    ] == f"bytes {low}-{low + len(response.content) - 1}/" + (str(len(data)))


def test_a_range_of_another_version_is_answered_with_the_whole_film(
    http: httpx.Client, film: Path
) -> None:
    path, data = f"/v1/videos/{FILM}/media", film.read_bytes()
    tag = http.head(path).headers["etag"]
    assert tag == f'"{hashlib.sha256(data).hexdigest()}"'
    stale = http.get(path, headers={"range": "bytes=0-9", "if-range": '"another"'})
    assert (stale.status_code, stale.content) == (200, data)
    fresh = http.get(path, headers={"range": "bytes=0-9", "if-range": tag})
    assert (fresh.status_code, fresh.content) == (206, data[:10])
    assert http.get(path, headers={"if-none-match": tag}).status_code == 304
    beyond = http.get(path, headers={"range": f"bytes={len(data)}-"})
    assert beyond.status_code == 416
    assert error_body(beyond)["error"] == "range_unsatisfiable"


@pytest.mark.parametrize("request_headers", [{}, {"range": "bytes=0-9"}])
def test_a_film_of_a_media_type_is_shown_inline(
    http: httpx.Client, request_headers: dict[str, str]
) -> None:
    headers = http.get(f"/v1/videos/{FILM}/media", headers=request_headers).headers
    assert headers["content-type"] == "video/x-matroska"
    assert headers["content-disposition"] == f"inline; filename*=UTF-8''{FILM}.mkv"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "media-src 'self'" in headers["content-security-policy"]
    assert "sandbox" not in headers["content-security-policy"]


def test_a_film_of_another_suffix_is_downloaded(http: httpx.Client, film: Path) -> None:
    http.post("/v1/videos?asset_id=page&filename=page.html", content=film.read_bytes())
    headers = http.get("/v1/videos/page/media").headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


def test_a_stream_resumes_after_the_last_event_id(client: Client, done: JobAnswer) -> None:
    whole = [event for event in client.events(FILM, done.run_id) if event.kind == "log"]
    assert {event.data["event"] for event in whole} >= {"stage.started", "stage.ended"}
    middle = whole[len(whole) // 2]
    rest = [e for e in client.events(FILM, done.run_id, middle.event_id) if e.kind == "log"]
    assert rest == whole[len(whole) // 2 + 1 :]


def test_a_stream_ends_with_the_status_of_the_run(http: httpx.Client, done: JobAnswer) -> None:
    text = http.get(f"/episodes/{FILM}/runs/{done.run_id}/events").text
    kind, data, _ = text.strip().rpartition("\n\n")[2].split("\n")
    assert kind == "event: end"
    assert json.loads(data.removeprefix("data: "))["status"] == "SUCCESS"
    bad = http.get(f"/episodes/{FILM}/events", headers={"last-event-id": "1.2"})
    assert bad.status_code == 400
    last_id = next(line for line in text.splitlines()[::-1] if line.startswith("id: "))[4:]
    path = f"/episodes/{FILM}/runs/{done.run_id}/events"
    assert http.get(path, headers={"last-event-id": last_id}).status_code == 204


def test_a_repeated_upload_keeps_the_first_file_name(
    service: Served, client: Client, film: Path, tmp_path: Path
) -> None:
    first = client.upload(film, "renamed")
    with psycopg.connect(service.env["FILMGATE_DATABASE_URL"]) as connection:
        # as after an upload that was interrupted before the database was written
        connection.execute("delete from assets where asset_id = 'renamed'")
    again = client.upload(shutil.copy(film, tmp_path / "other.mkv"), "renamed")
    assert (again.is_known, again.file_name) == (True, first.file_name)
    assert client.video("renamed").file_name == first.file_name


def test_events_are_streamed_while_a_run_is_executed(
    service: Served, client: Client, film: Path
) -> None:
    client.upload(film, "followed")
    job = client.run("episode", asset_id="followed", settings=LIGHT)
    assert job.state in {JobState.QUEUED, JobState.RUNNING}
    assert (service.home / "manifests" / "followed" / "runs" / job.run_id).is_dir()
    events = list(client.events("followed", job.run_id))
    states = [event.data["status"] for event in events if event.kind == "status"]
    assert states[0] in {"INCOMPLETE", "RUNNING"}  # a quick worker has started it already
    assert "RUNNING" in states
    assert events[-1].kind == "end"
    assert events[-1].data["status"] == "SUCCESS"
    assert events[-1].data["job"]["state"] == "succeeded"
    logged = [event.data["event"] for event in events if event.kind == "log"]
    assert logged.count("stage.ended") == logged.count("stage.started") > 3


def test_the_status_of_a_run_of_chosen_stages_names_the_others(client: Client, film: Path) -> None:
    client.upload(film, "partly")
    job = client.run("episode", asset_id="partly", stages=["probe"], settings=LIGHT)
    client.wait(job, 60)
    status = client.status("partly")
    assert status.status == "INCOMPLETE"
    assert len(status.suggested_actions) == 1
    pending = [name for name, stage in status.stages.items() if stage.status == "PENDING"]
    assert f"Not run yet: {', '.join(pending)}." in status.suggested_actions[0]


def test_a_second_job_on_a_run_is_refused_until_the_first_has_ended(
    client: Client, film: Path
) -> None:
    client.upload(film, "twice")
    first = client.run("episode", asset_id="twice", run_id="r1", settings=LIGHT)
    with pytest.raises(Conflict, match="already has a job that has not ended") as refused:
        client.run("episode", asset_id="twice", run_id="r1", settings=LIGHT)
    assert refused.value.extra["job_id"] == first.job_id
    assert client.wait(first, 60).state is JobState.SUCCEEDED
    again = client.run("episode", asset_id="twice", run_id="r1", settings=LIGHT)
    assert client.wait(again, 60).outcome == client.job(first.job_id).outcome


@pytest.mark.proof
def test_a_job_that_is_queued_or_running_is_cancelled(client: Client, film: Path) -> None:
    for name in ("one", "two"):
        client.upload(film, name)
    running = client.run("episode", asset_id="one", settings={"ocr.enabled": False})
    queued = client.run("episode", asset_id="two", settings=LIGHT)
    assert client.cancel(queued.job_id).state is JobState.CANCELLED
    assert "run it again under its run_id" in client.status("two").suggested_actions[0]
    until(lambda: client.job(running.job_id).state is JobState.RUNNING)
    until(lambda: client.status("one").is_at_work)
    client.cancel(running.job_id)
    stopped = until(lambda: (job := client.job(running.job_id)).state.is_over and job)
    assert stopped.state is JobState.CANCELLED
    assert not client.status("one").is_at_work
    assert "run it again under its run_id" in client.status("one").suggested_actions[0]
    resumed = client.run("episode", asset_id="one", settings={"ocr.enabled": False})
    assert resumed.run_id == running.run_id
    assert client.cancel(resumed.job_id).job_id == resumed.job_id


@pytest.mark.proof
def test_jobs_of_higher_priority_are_executed_first(client: Client, film: Path) -> None:
    jobs = []
    for name in ("first", "low", "high"):
        client.upload(film, name)
    for name, priority in (("first", 50), ("low", -5), ("high", 5)):
        slow = {"ocr.enabled": False, "pdf.enabled": False}
        settings = slow if name == "first" else LIGHT
        request = {"asset_id": name, "settings": settings, "priority": priority}
        jobs.append(client.run("episode", **request))
    low, high = (client.wait(job, 60) for job in jobs[1:])
    assert low.started_at is not None
    assert high.started_at is not None
    assert high.started_at < low.started_at


@pytest.mark.proof
def test_a_failed_run_fails_only_its_job(client: Client, film: Path) -> None:
    client.upload(film, "badly")
    with pytest.raises(Invalid, match="no setting 'threshold'"):
        client.run("episode", asset_id="badly", settings={"scenes.threshold": "none"})
    with pytest.raises(UsageError, match="pipeline 'films' is unknown"):
        client.run("films", asset_id="badly")
    job = client.run("episode", asset_id="badly", stages=["cluster"], settings=LIGHT)
    ended = client.wait(job, 60)
    assert ended.state is JobState.FAILED
    assert ended.outcome is not None
    assert ended.outcome.exit_code == 3
    assert "cluster is blocked" in str(ended.outcome.error)
    status = client.status("badly")
    assert status.stages["cluster"].blocked is not None
    assert status.suggested_actions
    assert client.wait(client.run("episode", asset_id="badly", settings=LIGHT), 60).state is (
        JobState.SUCCEEDED
    )


@pytest.mark.proof
def test_a_job_may_select_stages(client: Client, film: Path) -> None:
    client.upload(film, "partly")
    ended = client.wait(client.run("episode", asset_id="partly", stages=["probe"]), 60)
    assert (ended.state, ended.tries) == (JobState.SUCCEEDED, 1)
    status = client.status("partly")
    assert (status.status, status.stages["probe"].status) == ("INCOMPLETE", "SUCCESS")


def test_a_film_is_uploaded_as_a_form_or_as_bytes_and_stored_once(
    http: httpx.Client, film: Path
) -> None:
    data = film.read_bytes()
    form = http.post("/v1/videos?asset_id=form", files={"file": ("../../a film.mkv", data)})
    assert form.status_code == 201, form.text
    assert form.json()["file_name"] == "a film.mkv"
    again = http.post("/v1/videos", params={"asset_id": "form", "filename": "b.mkv"}, content=data)
    assert (again.status_code, again.json()["is_known"]) == (200, True)
    assert again.json()["file_name"] == "a film.mkv"
    field = http.post("/v1/videos", files={"file": ("a.mkv", data)}, data={"asset_id": "field"})
    assert field.json()["asset_id"] == "field"
    unknown = http.post("/v1/videos", files={"file": ("a.mkv", data)}, data={"id": "field"})
    assert unknown.status_code == 400
    named = http.post("/v1/videos", files={"file": ("Ein Film.mkv", data)})
    assert named.json()["asset_id"] == "Ein-Film"
    assert http.get("/v1/videos/form/media").content == data


def test_an_upload_that_is_incomplete_or_not_a_video_leaves_no_file(
    http: httpx.Client, service: Served, film: Path
) -> None:
    before = sorted(path.name for path in (service.home / "uploads").iterdir())
    noise = http.post("/v1/videos", files={"file": ("noise.mp4", b"\0" * 5000)})
    assert (noise.status_code, error_body(noise)["error"]) == (400, "invalid")
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="half.mkv"\r\n\r\n'
    half = http.post("/v1/videos", content=head + film.read_bytes()[:3000], headers=boundary)
    assert half.status_code == 400
    assert "incomplete part" in error_body(half)["message"]
    text = http.post("/v1/videos", json={"file": "film.mp4"})
    assert (text.status_code, error_body(text)["error"]) == (415, "unsupported_media")
    nameless = http.post("/v1/videos", content=b"abc")
    assert nameless.status_code == 400
    other = film.read_bytes()[:-10] + b"0123456789"
    taken = http.post(f"/v1/videos?asset_id={FILM}&filename=x.mkv", content=other)
    assert taken.status_code in {400, 409}
    after = sorted(path.name for path in (service.home / "uploads").iterdir())
    assert after == before
    assert not list((service.home / "uploads" / ".incoming").iterdir())


def test_invalid_parameters_are_400_and_unknown_ids_404(http: httpx.Client) -> None:
    invalid = [
        f"/v1/videos/{FILM}/jump",
        f"/v1/videos/{FILM}/jump?kind=song",
        f"/v1/videos/{FILM}/jump?kind=scene&direction=up",
        f"/v1/videos/{FILM}/jump?kind=scene&from_ms=soon",
        f"/v1/videos/{FILM}/jump?kind=scene&label=dog",
        f"/v1/videos/{FILM}/find",
        f"/v1/videos/{FILM}/artifacts?cursor=abc",
        f"/v1/videos/{FILM}/artifacts?limit=0",
        f"/v1/videos/{FILM}/find?q=a&selection=best",
        f"/v1/videos/{FILM}/jump?kind=scene&from=9000",
        "/jobs?state=running",
        "/v1/videos/-/jump?kind=scene",
        "/jobs/none",
    ]
    for path in invalid:
        assert http.get(path).status_code == 400, path
        error_body(http.get(path))
    unknown = ["/v1/videos/none", "/v1/videos/none/find?q=a", "/jobs/999999", "/nowhere"]
    unknown += [f"/episodes/{FILM}/runs/none", "/episodes/none/status"]
    for path in unknown:
        assert http.get(path).status_code == 404, path
        error_body(http.get(path))
    assert http.post("/jobs/episode-run", content=b"{").status_code == 400
    assert http.delete("/v1/videos").status_code == 405
    assert http.delete("/v1/people/none").status_code == 404
    assert http.get("/v1/people/none").status_code == 405
    assert "kind" in error_body(http.get(invalid[1]))["message"]


def test_the_client_refuses_an_invalid_token_or_url_without_disclosing_it(service: Served) -> None:
    with service.client(f"{service.token}\n") as client:
        assert list(client.jobs())
    with pytest.raises(Invalid, match="token is invalid") as refused:
        service.client(f"{service.token} and more")
    assert service.token not in str(refused.value)
    with pytest.raises(Invalid, match="URL is invalid"):
        Client("127.0.0.1:8321", service.token)


def test_head_returns_the_headers_of_get(http: httpx.Client) -> None:
    for path in ("/healthz", "/v1/videos", f"/v1/videos/{FILM}/jump?kind=scene"):
        head, whole = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]


def test_a_missing_report_is_404_with_the_state_of_its_stage(
    http: httpx.Client, done: JobAnswer
) -> None:
    response = http.get(f"/episodes/{FILM}/runs/{done.run_id}/export")
    assert response.status_code == 404
    assert "SKIPPED" in error_body(response)["message"]


def test_a_share_token_shows_one_video_until_it_is_revoked(
    service: Served, film: Path, done: JobAnswer
) -> None:
    token = service.filmgate("tokens", "share", FILM, "--expires", "1h")
    paths = [f"/v1/videos/{FILM}", f"/v1/videos/{FILM}/media", f"/episodes/{FILM}/status"]
    queries = [f"/v1/videos/{FILM}/{query}" for query in ("jump?kind=scene", "find?q=gate")]
    with service.http(token) as guest:
        for path in (*paths, *queries):
            assert guest.get(path).status_code == 200, path
        assert guest.get(f"/v1/videos/{FILM}/media").content == film.read_bytes()
        events = f"/episodes/{FILM}/runs/{done.run_id}/events"
        for path in ("/v1/videos", "/v1/search?q=gate", "/jobs", f"/episodes/{FILM}/runs", events):
            assert guest.get(path).status_code == 403, path
        service.filmgate("tokens", "revoke", token.split("_")[1])
        until(lambda: guest.get(paths[0]).status_code == 401, 5)


def test_a_session_is_ended_by_a_command_while_the_service_runs(service: Served) -> None:
    link = service.filmgate("tokens", "link", "grace", "--url", service.url, "--scope", "viewer")
    with httpx.Client(base_url=service.url) as browser:
        assert browser.get(link).status_code == 303
        session = browser.get("/v1/session").json()["session_id"]
        assert session in service.filmgate("sessions", "list")
        service.filmgate("sessions", "revoke", session)
        until(lambda: browser.get("/v1/session").status_code == 401, 5)


def test_metrics_count_jobs_runs_stages_and_requests(
    http: httpx.Client, client: Client, done: JobAnswer
) -> None:
    assert client.jump(FILM, "scene").runs == {"scene": done.run_id}
    text = http.get("/metrics").text
    assert 'filmgate_jobs{state="succeeded"}' in text
    assert 'filmgate_runs{pipeline="episode",status="completed"}' in text
    assert 'filmgate_stages{stage="scenes",status="SUCCESS"}' in text
    assert 'filmgate_ingest_receipts{consumer="ingest"}' in text
    assert 'route="/v1/videos/{asset_id}/jump"' in text
    assert http.get("/healthz").json() == {"status": "alive"}
    assert http.get("/readyz").json() == {"status": "ready"}


def test_a_request_can_be_found_in_the_log_by_its_id(http: httpx.Client, service: Served) -> None:
    response = http.get("/v1/videos?cursor=secretly", headers={"x-request-id": "look-for-me"})
    assert response.headers["x-request-id"] == "look-for-me"
    other = http.get("/v1/videos", headers={"x-request-id": "no good\tid"})
    assert other.headers["x-request-id"] not in {"", "no good\tid"}
    line = next(line for line in service.read_log().splitlines() if "look-for-me" in line)
    event = json.loads(line)
    assert (event["status"], event["path"], event["user"]) == (400, "/v1/videos", "local")
    assert "secretly" not in service.read_log()


def test_the_description_names_every_endpoint_and_no_422(http: httpx.Client) -> None:
    schema = http.get("/openapi.json").json()
    paths = schema["paths"]
    for path in (
        "/v1/videos/{asset_id}/media",
        "/v1/videos/{asset_id}/selections/{artifact_type}",
        "/v1/artifacts/{artifact_id}/provenance",
        "/v1/rulebooks/ask",
        "/jobs/{pipeline}-run",
        "/jobs/{job_id}/cancel",
        "/episodes/{ep_id}/runs/{run_id}/export",
        "/episodes/{ep_id}/events",
    ):
        assert path in paths
    operations = [operation for methods in paths.values() for operation in methods.values()]
    assert all("422" not in operation["responses"] for operation in operations)
    assert all(operation.get("description") for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    page = http.get("/docs").text
    assert all(path in page for path in paths)


def test_the_examples_of_the_description_match_their_models() -> None:
    models: dict[str, type[BaseModel]] = {
        "/v1/videos": UploadAnswer,
        "/v1/videos/{asset_id}/jump": JumpAnswer,
        "/v1/videos/{asset_id}/find": FindAnswer,
        "/v1/videos/{asset_id}/artifacts": ArtifactPage,
        "/jobs/{pipeline}-run": JobAnswer,
        "/jobs/{job_id}": JobAnswer,
        "/jobs": JobsAnswer,
        "/v1/session": WhoAnswer,
    }
    for (_, path), example in EXAMPLES.items():
        models[path].model_validate_json(json.dumps(example))


def test_rulebook_endpoints_answer_for_an_empty_corpus(http: httpx.Client) -> None:
    assert http.get("/v1/rulebooks").json() == {"books": []}
    assert http.get("/v1/rulebooks/ask?q=how+many+hit+points").status_code == 404
