"""`filmgate serve`, used as a program or a person uses it."""

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
from support.served import LIGHT, Served, error_of, served, until

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
    """A film that was uploaded and run on."""
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


def test_a_film_is_uploaded_run_and_asked(client: Client, done: JobAnswer, film: Path) -> None:
    video = client.video(FILM)
    assert video.input_hash == f"sha256:{hashlib.sha256(film.read_bytes()).hexdigest()}"
    assert (video.runs, video.completed, video.has_media) == (1, 1, True)
    assert FILM in [each.asset_id for each in client.videos()]

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
    assert {each.model_profile for each in profiles} == {"balanced"}
    artifact_id = getattr(jump.artifact, "artifact_id", "")
    assert client.provenance(artifact_id).chain[0].stage == "scenes"
    assert client.status(FILM).stages["scenes"].status == "SUCCESS"
    assert [run.run_id for run in client.runs(FILM).runs] == [done.run_id]
    assert next(client.logs(FILM, "scenes"))["event"] == "stage.started"


def test_what_is_served_is_chosen_and_the_choice_taken_back(
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


def test_pages_follow_each_other_without_a_gap(http: httpx.Client, client: Client) -> None:
    whole = list(client.artifacts(FILM, type="scene"))
    assert len(whole) == 3
    paged, cursor = [], None
    for _ in range(3):
        asked = {"type": "scene", "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = http.get(f"/v1/videos/{FILM}/artifacts", params=asked).json()
        paged += page["artifacts"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert [each["span_start_ms"] for each in paged] == [0, 1000, 2000]


def test_an_answer_that_is_still_the_same_is_not_sent_again(http: httpx.Client) -> None:
    for path in (f"/v1/videos/{FILM}/jump?kind=scene", f"/episodes/{FILM}/status", "/v1/videos"):
        first = http.get(path)
        again = http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = http.get(path, headers={"if-none-match": '"another"'})
        assert other.json() == first.json()


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-50", -50, None)],
)
def test_a_range_of_a_film_is_those_bytes_of_it(
    http: httpx.Client, film: Path, asked: str, start: int, end: int | None
) -> None:
    data = film.read_bytes()
    response = http.get(f"/v1/videos/{FILM}/media", headers={"range": asked})
    assert response.status_code == 206
    assert response.content == data[start:end]
    low = start % len(data)
    assert response.headers[
        "content-range"
    ] == f"bytes {low}-{low + len(response.content) - 1}/" + (str(len(data)))


def test_a_film_is_played_whole_where_the_range_is_of_another_or_is_none(
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
    assert error_of(beyond)["error"] == "range_unsatisfiable"


def test_a_stream_goes_on_from_where_it_was_broken_off(client: Client, done: JobAnswer) -> None:
    whole = [event for event in client.events(FILM, done.run_id) if event.kind == "log"]
    assert {event.data["event"] for event in whole} >= {"stage.started", "stage.ended"}
    middle = whole[len(whole) // 2]
    rest = [e for e in client.events(FILM, done.run_id, middle.event_id) if e.kind == "log"]
    assert rest == whole[len(whole) // 2 + 1 :]


def test_a_stream_ends_with_how_the_run_stands(http: httpx.Client, done: JobAnswer) -> None:
    text = http.get(f"/episodes/{FILM}/runs/{done.run_id}/events").text
    kind, data, _ = text.strip().rpartition("\n\n")[2].split("\n")
    assert kind == "event: end"
    assert json.loads(data.removeprefix("data: "))["status"] == "SUCCESS"
    bad = http.get(f"/episodes/{FILM}/events", headers={"last-event-id": "1.2"})
    assert bad.status_code == 400
    place = next(line for line in text.splitlines()[::-1] if line.startswith("id: "))[4:]
    path = f"/episodes/{FILM}/runs/{done.run_id}/events"
    assert http.get(path, headers={"last-event-id": place}).status_code == 204


def test_bytes_that_lie_there_already_are_known_by_the_name_that_they_lie_under(
    service: Served, client: Client, film: Path, tmp_path: Path
) -> None:
    first = client.upload(film, "renamed")
    with psycopg.connect(service.env["FILMGATE_DATABASE_URL"]) as connection:
        connection.execute("delete from assets where asset_id = 'renamed'")  # as if it broke off
    again = client.upload(shutil.copy(film, tmp_path / "other.mkv"), "renamed")
    assert (again.is_known, again.file_name) == (True, first.file_name)
    assert client.video("renamed").file_name == first.file_name


def test_a_run_is_followed_while_it_goes(service: Served, client: Client, film: Path) -> None:
    client.upload(film, "followed")
    job = client.run("episode", asset_id="followed", settings=LIGHT)
    assert job.state in {JobState.QUEUED, JobState.RUNNING}  # one may have begun by now
    assert (service.home / "manifests" / "followed" / "runs" / job.run_id).is_dir()
    events = list(client.events("followed", job.run_id))
    states = [event.data["status"] for event in events if event.kind == "status"]
    assert states[0] == "INCOMPLETE"
    assert "RUNNING" in states
    assert events[-1].kind == "end"
    assert events[-1].data["status"] == "SUCCESS"
    assert events[-1].data["job"]["state"] == "succeeded"
    logged = [event.data["event"] for event in events if event.kind == "log"]
    assert logged.count("stage.ended") == logged.count("stage.started") > 3


def test_a_job_on_a_run_that_has_one_waits_for_nobody(client: Client, film: Path) -> None:
    client.upload(film, "twice")
    first = client.run("episode", asset_id="twice", run_id="r1", settings=LIGHT)
    with pytest.raises(Conflict, match="has a job that is not over") as refused:
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
    until(lambda: client.job(running.job_id).state is JobState.RUNNING)
    until(lambda: client.status("one").is_at_work)
    client.cancel(running.job_id)
    stopped = until(lambda: (job := client.job(running.job_id)).state.is_over and job)
    assert stopped.state is JobState.CANCELLED
    assert not client.status("one").is_at_work
    assert "can go on" in client.status("one").suggested_actions[0]
    resumed = client.run("episode", asset_id="one", settings={"ocr.enabled": False})
    assert resumed.run_id == running.run_id
    assert client.cancel(resumed.job_id).job_id == resumed.job_id


@pytest.mark.proof
def test_jobs_of_higher_priority_are_done_first(client: Client, film: Path) -> None:
    jobs = []
    for name in ("first", "low", "high"):
        client.upload(film, name)
    for name, priority in (("first", 50), ("low", -5), ("high", 5)):
        slow = {"ocr.enabled": False, "pdf.enabled": False}
        settings = slow if name == "first" else LIGHT
        asked = {"asset_id": name, "settings": settings, "priority": priority}
        jobs.append(client.run("episode", **asked))
    low, high = (client.wait(job, 60) for job in jobs[1:])
    assert low.started_at is not None
    assert high.started_at is not None
    assert high.started_at < low.started_at


@pytest.mark.proof
def test_a_run_that_failed_fails_its_job_alone(client: Client, film: Path) -> None:
    client.upload(film, "badly")
    with pytest.raises(Invalid, match="a setting will not do"):
        client.run("episode", asset_id="badly", settings={"scenes.threshold": "none"})
    with pytest.raises(UsageError, match="no pipeline"):
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
def test_a_job_may_ask_for_some_stages_alone(client: Client, film: Path) -> None:
    client.upload(film, "partly")
    ended = client.wait(client.run("episode", asset_id="partly", stages=["probe"]), 60)
    assert (ended.state, ended.tries) == (JobState.SUCCEEDED, 1)
    status = client.status("partly")
    assert (status.status, status.stages["probe"].status) == ("INCOMPLETE", "SUCCESS")


def test_uploads_come_as_forms_or_bytes_and_the_same_twice_is_one(
    http: httpx.Client, film: Path
) -> None:
    data = film.read_bytes()
    form = http.post("/v1/videos?asset_id=form", files={"file": ("../../a film.mkv", data)})
    assert form.status_code == 201, form.text
    assert form.json()["file_name"] == "a film.mkv"
    again = http.post("/v1/videos", params={"asset_id": "form", "filename": "b.mkv"}, content=data)
    assert (again.status_code, again.json()["is_known"]) == (200, True)
    assert again.json()["file_name"] == "a film.mkv"
    told = http.post("/v1/videos", files={"file": ("a.mkv", data)}, data={"asset_id": "told"})
    assert told.json()["asset_id"] == "told"
    strange = http.post("/v1/videos", files={"file": ("a.mkv", data)}, data={"id": "told"})
    assert strange.status_code == 400
    named = http.post("/v1/videos", files={"file": ("Ein Film.mkv", data)})
    assert named.json()["asset_id"] == "Ein-Film"
    assert http.get("/v1/videos/form/media").content == data


def test_a_file_that_is_no_video_or_no_whole_one_leaves_nothing(
    http: httpx.Client, service: Served, film: Path
) -> None:
    before = sorted(path.name for path in (service.home / "uploads").iterdir())
    noise = http.post("/v1/videos", files={"file": ("noise.mp4", b"\0" * 5000)})
    assert (noise.status_code, error_of(noise)["error"]) == (400, "invalid")
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="half.mkv"\r\n\r\n'
    half = http.post("/v1/videos", content=head + film.read_bytes()[:3000], headers=boundary)
    assert half.status_code == 400
    assert "broke off" in error_of(half)["message"]
    text = http.post("/v1/videos", json={"file": "film.mp4"})
    assert (text.status_code, error_of(text)["error"]) == (415, "unsupported_media")
    nameless = http.post("/v1/videos", content=b"abc")
    assert nameless.status_code == 400
    other = film.read_bytes()[:-10] + b"0123456789"
    taken = http.post(f"/v1/videos?asset_id={FILM}&filename=x.mkv", content=other)
    assert taken.status_code in {400, 409}
    after = sorted(path.name for path in (service.home / "uploads").iterdir())
    assert after == before
    assert not list((service.home / "uploads" / ".incoming").iterdir())


def test_bad_words_are_400_with_the_word_and_unknown_things_404(http: httpx.Client) -> None:
    bad = [
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
    for path in bad:
        assert http.get(path).status_code == 400, path
        error_of(http.get(path))
    unknown = ["/v1/videos/none", "/v1/videos/none/find?q=a", "/jobs/999999", "/nowhere"]
    unknown += [f"/episodes/{FILM}/runs/none", "/episodes/none/status", "/v1/people/none"]
    for path in unknown:
        assert http.get(path).status_code == 404, path
        error_of(http.get(path))
    assert http.post("/jobs/episode-run", content=b"{").status_code == 400
    assert http.delete("/v1/videos").status_code == 405
    assert "kind" in error_of(http.get(bad[1]))["message"]


def test_a_client_that_is_held_wrong_says_so_and_tells_no_secret(service: Served) -> None:
    with service.client(f"{service.token}\n") as client:
        assert list(client.jobs())
    with pytest.raises(Invalid, match="no token") as refused:
        service.client(f"{service.token} and more")
    assert service.token not in str(refused.value)
    with pytest.raises(Invalid, match="no address"):
        Client("127.0.0.1:8321", service.token)


def test_every_answer_can_be_asked_for_by_its_head_alone(http: httpx.Client) -> None:
    for path in ("/healthz", "/v1/videos", f"/v1/videos/{FILM}/jump?kind=scene"):
        head, whole = http.head(path), http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == whole.headers["etag"]


def test_a_pdf_that_was_not_made_is_missed_by_name(http: httpx.Client, done: JobAnswer) -> None:
    response = http.get(f"/episodes/{FILM}/runs/{done.run_id}/export")
    assert response.status_code == 404
    assert "SKIPPED" in error_of(response)["message"]


def test_what_is_counted_is_what_was_done(
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
    given = http.get("/v1/videos?cursor=secretly", headers={"x-request-id": "look-for-me"})
    assert given.headers["x-request-id"] == "look-for-me"
    made = http.get("/v1/videos", headers={"x-request-id": "no good\tid"}).headers["x-request-id"]
    assert made not in {"", "no good\tid"}
    line = next(line for line in service.told().splitlines() if "look-for-me" in line)
    told = json.loads(line)
    assert (told["status"], told["path"], told["user"]) == (400, "/v1/videos", "local")
    assert "secretly" not in service.told()


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
    operations = [each for path in paths.values() for each in path.values()]
    assert all("422" not in each["responses"] for each in operations)
    assert all(each.get("description") for each in operations)
    assert len({each["operationId"] for each in operations}) == len(operations)
    page = http.get("/docs").text
    assert all(path in page for path in paths)


def test_the_examples_of_the_description_are_answers_that_could_be() -> None:
    kinds: dict[str, type[BaseModel]] = {
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
        kinds[path].model_validate_json(json.dumps(example))


def test_rulebooks_are_asked_where_there_are_any(http: httpx.Client) -> None:
    assert http.get("/v1/rulebooks").json() == {"books": []}
    assert http.get("/v1/rulebooks/ask?q=how+many+hit+points").status_code == 404
