"""Security of the service: paths, SQL, tokens, sessions, origins, limits and the audit log."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from filmgate.core.jobs import JobAnswer, JobState
from support.films import film_of_shots
from support.served import LIGHT, Served, error_body, served, until

pytestmark = pytest.mark.proof

FILM = "film"
SECRET = "content of a file outside the home"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / f"{FILM}.mkv", [25, 25])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("secured") / "home"
    (home.parent / "outside.txt").write_text(SECRET)
    (home.parent / "open").mkdir()
    env = {"FILMGATE_DATABASE_URL": module_database_url, "FILMGATE_UPLOAD_LIMIT_MB": "3"}
    env["FILMGATE_RATE_PER_S"] = "0"
    env["FILMGATE_SOURCES"] = str(home.parent / "open")
    with served(home, **env) as running:
        yield running


@pytest.fixture(scope="module")
def done(service: Served, film: Path) -> JobAnswer:
    with service.client(service.create_token("lisa", "operator")) as client:
        client.upload(film)
        settings = LIGHT | {"pdf.enabled": True}
        job = client.wait(client.run("episode", asset_id=FILM, settings=settings), 60)
    assert job.state is JobState.SUCCEEDED
    return job


@pytest.fixture
def http(service: Served, done: JobAnswer) -> Iterator[httpx.Client]:
    with service.http() as opened:
        yield opened


@pytest.fixture(scope="module")
def tokens(service: Served) -> dict[str, str]:
    scopes = ("viewer", "operator", "admin")
    return {scope: service.create_token(f"a-{scope}", scope) for scope in scopes}


def send_raw(service: Served, request: bytes, *, patience_s: float = 10) -> bytes:
    """Send bytes over a connection; return the response."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=patience_s) as connection:
        connection.sendall(request)
        response = b""
        while chunk := connection.recv(65536):
            response += chunk
            if b"\r\n\r\n" in response and b'"timestamp"' in response:
                break
        return response


TRAVERSALS = [
    "/v1/videos/..%2f..%2foutside.txt/media",
    "/v1/videos/%2e%2e/media",
    "/v1/videos/....%2f%2fetc%2fpasswd",
    "/episodes/..%2f..%2f..%2fetc/status",
    "/episodes/film/runs/..%2f..%2f/export",
    "/episodes/film/status?run_id=../../../outside",
    "/episodes/film/logs/..%2f..%2frun",
    "/episodes/film/logs/..%2f..%2frun.json",
    "/v1/videos/..%5c..%5cetc/media",
    "/v1/videos/%00/media",
    "//etc/passwd",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_a_path_traversal_is_refused(http: httpx.Client, service: Served, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {service.token}"
    response = send_raw(service, f"{request}\r\nConnection: close\r\n\r\n".encode())
    assert response.split(b" ", 2)[1] in {b"400", b"404"}, response
    assert SECRET.encode() not in response
    assert b"root:" not in response


@pytest.mark.parametrize(
    "source",
    ["../outside.txt", "/etc/passwd", "link.mkv", "folder/../../outside.txt", "~/x", "\0"],
)
def test_a_job_reads_only_files_in_the_source_folders(
    http: httpx.Client, service: Served, source: str
) -> None:
    link = service.home.parent / "open" / "link.mkv"
    if not link.is_symlink():
        link.symlink_to(service.home.parent / "outside.txt")
    response = http.post("/jobs/episode-run", json={"source": source})
    assert response.status_code == 403, response.text
    assert "FILMGATE_SOURCES" in error_body(response)["message"]


@pytest.mark.parametrize("pipeline", ["gameplay", "rulebook"])
def test_a_pipeline_of_folders_or_lists_takes_no_uploaded_video(
    http: httpx.Client, pipeline: str
) -> None:
    response = http.post(f"/jobs/{pipeline}-run", json={"asset_id": FILM})
    assert response.status_code == 400, response.text
    message = error_body(response)["message"]
    assert f"an uploaded video is not an input of pipeline {pipeline}" in message


def test_a_setting_of_a_job_must_not_be_a_path_outside_the_source_folders(
    http: httpx.Client, service: Served
) -> None:
    (service.home.parent / "open" / "tasks.txt").write_text("a.tar\n")
    for place in ("/tmp/out", "../out", "~/out", " ..", '"../out"', "a\\b", "new"):
        request = {"source": "tasks.txt", "settings": {"extraction.source_bucket": place}}
        response = http.post("/jobs/gameplay-run", json=request)
        assert response.status_code == 403, response.text


def test_the_name_of_a_setting_must_not_contain_a_value(http: httpx.Client) -> None:
    request = {"source": "tasks.txt", "settings": {"extraction.source_bucket=/tmp/out": "x"}}
    assert http.post("/jobs/gameplay-run", json=request).status_code == 400


def test_an_uploaded_video_is_not_an_input_of_the_rulebook_pipeline(
    http: httpx.Client, done: JobAnswer
) -> None:
    refused = http.post("/jobs/rulebook-run", json={"asset_id": FILM})
    assert refused.status_code == 400
    assert "FILMGATE_SOURCES" in error_body(refused)["message"]


def test_a_job_runs_on_a_file_in_a_source_folder(
    http: httpx.Client, service: Served, film: Path
) -> None:
    (service.home.parent / "open" / "inside.mkv").write_bytes(film.read_bytes())
    request = {"source": "inside.mkv", "settings": LIGHT, "run_id": "r1"}
    response = http.post("/jobs/episode-run", json=request)
    assert response.status_code == 202, response.text
    assert response.json()["asset_id"] == "inside"
    with service.client() as client:
        assert client.wait(JobAnswer.model_validate_json(response.text), 60).state is (
            JobState.SUCCEEDED
        )


@pytest.mark.parametrize("name", ["media", "note", "folder", "report"])
def test_a_symbolic_link_in_the_home_is_not_followed(
    http: httpx.Client, service: Served, film: Path, done: JobAnswer, name: str
) -> None:
    outside = service.home.parent / "outside.txt"
    uploads = service.home / "uploads"
    asset = f"linked-{name}"
    path = f"/v1/videos/{asset}/media"
    if name == "report":
        path = f"/episodes/{FILM}/runs/{done.run_id}/export"
        run = service.home / "manifests" / FILM / "runs" / done.run_id
        assert http.get(path).content.startswith(b"%PDF")
        report = run / "exports" / "run_debug.pdf"
        report.rename(report.with_suffix(".moved"))
        report.symlink_to(outside)
    elif name == "folder":
        (uploads / asset).symlink_to(outside.parent)
    else:
        with film.open("rb") as file:
            files = {"file": ("film.mkv", file)}
            assert http.post(f"/v1/videos?asset_id={asset}", files=files).status_code == 201
        replaced = uploads / asset / ("film.mkv" if name == "media" else "upload.json")
        replaced.unlink()
        replaced.symlink_to(outside)
    response = http.get(path)
    assert response.status_code == (409 if name == "report" else 404), response.text
    assert SECRET not in response.text


SQL = ["'; drop table assets; --", "1' or '1'='1", "%27%20or%201=1--", "\\x00';select 1", "$1"]


@pytest.mark.parametrize("word", SQL)
def test_sql_in_a_parameter_is_treated_as_text(http: httpx.Client, word: str) -> None:
    requests: list[tuple[str, dict[str, Any]]] = []
    for path, operations in http.get("/openapi.json").json()["paths"].items():
        operation = operations.get("get")
        if operation is None or path.endswith("/events") or path == "/enter":
            continue
        with_ids = path.replace("{asset_id}", FILM).replace("{ep_id}", FILM)
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                required = {"kind": "scene", "q": "a"} if "/v1" in path else {}
                filled = with_ids.replace("{", "").replace("}", "")
                requests.append((filled, {**required, parameter["name"]: word}))
            elif parameter["in"] == "path":
                filled = path.replace(f"{{{parameter['name']}}}", word.replace("/", ""))
                requests.append((filled.replace("{", "").replace("}", ""), {"q": "a"}))
    assert len(requests) > 60
    for path, params in requests:
        response = http.get(path, params=params)
        assert response.status_code in {200, 400, 404}, (path, params, response.text)
    for path in (f"/v1/videos/{FILM}/find", "/v1/search"):
        assert http.get(path, params={"q": word}).json()["hits"] == []
    assert http.get(f"/v1/videos/{FILM}/jump?kind=scene").status_code == 200


def test_requests_without_authentication_are_refused(service: Served, done: JobAnswer) -> None:
    with service.http() as http, httpx.Client(base_url=service.url) as anonymous:
        schema = http.get("/openapi.json").json()
        for path, operations in schema["paths"].items():
            for method in operations:
                response = anonymous.request(method, path.replace("{", "").replace("}", ""))
                if path in {"/healthz", "/readyz", "/"}:
                    assert response.status_code == 200
                    assert FILM not in response.text.replace("filmgate", "")
                else:
                    expected = 400 if path == "/enter" else 401
                    assert response.status_code == expected, (method, path, response.text)
        bad = {"authorization": "Bearer fg_aaaaaaaaaaaa_" + "a" * 43}
        refused = anonymous.get("/v1/videos", headers=bad)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")


def test_a_request_needs_a_sufficient_scope(
    service: Served, tokens: dict[str, str], film: Path
) -> None:
    changes = [
        ("POST", "/v1/videos?filename=a.mkv"),
        ("POST", "/jobs/episode-run"),
        ("PUT", f"/v1/videos/{FILM}/selections/scene"),
        ("POST", "/jobs/1/cancel"),
    ]
    with service.http(tokens["viewer"]) as viewer:
        assert viewer.get(f"/v1/videos/{FILM}/jump?kind=scene").status_code == 200
        for method, path in changes:
            response = viewer.request(method, path, json={} if path.endswith("-run") else None)
            assert response.status_code in {403, 415}, (path, response.text)
            assert response.status_code == 403 or path.startswith("/v1/videos?")
    for scope in ("viewer", "operator"):
        with service.http(tokens[scope]) as caller:
            for path in ("/v1/tokens", "/v1/audit"):
                refused = caller.get(path)
                assert refused.status_code == 403
                assert "scope admin" in error_body(refused)["message"]


def test_the_run_of_another_user_can_be_read_but_not_changed(
    service: Served, tokens: dict[str, str], done: JobAnswer
) -> None:
    with service.http(tokens["operator"]) as other:
        seen = other.get(f"/episodes/{FILM}/status").json()
        assert seen["job"]["submitted_by"] == "lisa"
        refused = other.post(f"/jobs/{done.job_id}/cancel")
        assert refused.status_code == 403
        assert "belongs to another user" in error_body(refused)["message"]
        settings = LIGHT | {"pdf.enabled": True}
        request = {"asset_id": FILM, "run_id": done.run_id, "settings": settings}
        refused = other.post("/jobs/episode-run", json=request)
        assert refused.status_code == 403
    with service.http(tokens["admin"]) as admin:
        assert admin.post(f"/jobs/{done.job_id}/cancel").status_code == 200


def test_a_revoked_or_expired_token_is_refused(service: Served) -> None:
    token = service.create_token("shortly", "viewer")
    with service.http(token) as caller, service.http() as admin:
        assert caller.get("/v1/videos").status_code == 200
        listed = admin.get("/v1/tokens").json()["tokens"]
        entry = next(entry for entry in listed if entry["user"] == "shortly")
        assert "secret" not in json.dumps(listed)
        assert token[-40:] not in json.dumps(listed)
        assert admin.delete(f"/v1/tokens/{entry['token_id']}").json()["revoked_at"]
        until(lambda: caller.get("/v1/videos").status_code == 401, 4)
        made = admin.post("/v1/tokens", json={"user": "brief", "expires_in_s": 2}).json()
    with service.http(made["token"]) as brief:
        assert brief.get("/v1/videos").status_code == 200
        until(lambda: brief.get("/v1/videos").status_code == 401, 4)


def test_a_stream_ends_when_its_token_is_revoked(service: Served, film: Path) -> None:
    token = service.create_token("watcher", "viewer")
    with service.client() as client, service.http() as admin:
        client.upload(film, "watched")
        job = client.run("episode", asset_id="watched", settings={"ocr.enabled": False})
        path = f"/episodes/watched/runs/{job.run_id}/events"
        with service.http(token) as watcher, watcher.stream("GET", path) as response:
            chunks = response.iter_text()
            next(chunks)
            admin.delete(f"/v1/tokens/{token.split('_')[1]}")
            assert "event: end" not in "".join(chunks)
        client.cancel(job.job_id)


def test_a_malformed_host_or_origin_is_400(service: Served, http: httpx.Client) -> None:
    assert http.get("/v1/videos", headers={"host": "["}).status_code == 400
    cookie = http.post("/v1/session").headers["set-cookie"].split(";")[0]
    headers = {"cookie": cookie, "origin": "http://["}
    with httpx.Client(base_url=service.url) as browser:
        assert browser.post("/v1/tokens", json={}, headers=headers).status_code == 400


def test_unauthenticated_requests_are_not_in_the_audit_log(
    service: Served, http: httpx.Client
) -> None:
    before = http.get("/v1/audit?limit=1").json()["entries"][0]["audit_id"]
    for _ in range(20):
        assert httpx.post(f"{service.url}/jobs/1/cancel").status_code == 401
    assert http.get("/v1/audit?limit=1").json()["entries"][0]["audit_id"] == before


def test_no_log_contains_a_token_or_a_link(service: Served, tokens: dict[str, str]) -> None:
    with service.http(tokens["admin"]) as http:
        http.get("/v1/videos")
        http.get(f"/v1/search?q={tokens['admin']}")
        http.get("/nowhere", headers={"x-request-id": tokens["admin"]})
        audited = http.get("/v1/audit?limit=1000").text
    for secret in (*tokens.values(), service.token, service.link.partition("code=")[2]):
        assert secret[-40:] not in service.read_log()
        assert secret[-40:] not in audited


def test_a_one_time_link_is_valid_once(service: Served) -> None:
    assert httpx.post(service.link).status_code == 401
    link = service.filmgate("tokens", "link", "--url", service.url, "--scope", "viewer")
    assert httpx.head(link).status_code == 405  # a preview of a link must not use it up
    with httpx.Client(base_url=service.url) as browser:
        entered = browser.get(link)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert browser.get("/v1/session").json()["scope"] == "viewer"
        assert "You are signed in as <b>local</b>" in browser.get("/").text
    assert httpx.get(link).status_code == 401


def test_a_page_of_another_site_cannot_make_changes(service: Served) -> None:
    with service.http() as admin:
        session = admin.post("/v1/session")
        cookie = session.headers["set-cookie"].split(";")[0]
        csrf = session.json()["csrf"]
    change = {"user": "evil", "scope": "admin"}
    ours = {"cookie": cookie, "x-csrf-token": csrf, "origin": service.url}
    cases = [
        ({"cookie": cookie}, 403),
        ({"cookie": cookie, "x-csrf-token": "guessed"}, 403),
        ({**ours, "origin": "https://evil.example"}, 403),
        ({**ours, "origin": "null"}, 403),
        ({**ours, "sec-fetch-site": "cross-site"}, 403),
        ({**ours, "sec-fetch-site": "same-site"}, 403),
        (ours, 201),
    ]
    with httpx.Client(base_url=service.url) as browser:
        for headers, status in cases:
            response = browser.post("/v1/tokens", json=change, headers=headers)
            assert response.status_code == status, (headers, response.text)
        assert browser.delete("/v1/session", headers=ours).status_code == 204
        assert browser.get("/v1/session", headers={"cookie": cookie}).status_code == 401


def test_a_foreign_host_name_is_refused(http: httpx.Client) -> None:
    response = http.get("/v1/videos", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "host name is not one of this service" in error_body(response)["message"]
    assert "access-control-allow-origin" not in http.get("/", headers={"origin": "x"}).headers


def test_a_body_that_is_too_large_is_refused_and_not_stored(
    http: httpx.Client, service: Served
) -> None:
    large = http.post("/jobs/episode-run", content=b" " * 300_000)
    assert (large.status_code, error_body(large)["error"]) == (413, "too_large")

    def chunks() -> Iterator[bytes]:
        for _ in range(80):
            yield b"\0" * 100_000

    announced = http.post("/v1/videos?filename=a.mkv", content=b"\0" * 8_000_000)
    assert announced.status_code == 413
    streamed = http.post("/v1/videos?filename=a.mkv", content=chunks())
    assert streamed.status_code == 413
    assert not list((service.home / "uploads" / ".incoming").iterdir())


def test_a_body_that_does_not_arrive_is_408(service: Served, done: JobAnswer) -> None:
    head = (
        f"Host: 127.0.0.1\r\nAuthorization: Bearer {service.token}\r\nContent-Length: 100\r\n\r\n"
    )
    started = time.monotonic()
    request = f"POST /jobs/episode-run HTTP/1.1\r\n{head}{{".encode()
    response = send_raw(service, request, patience_s=30)
    assert response.split(b" ", 2)[1] == b"408"
    assert 5 < time.monotonic() - started < 20
    with service.http() as http:
        assert http.get("/healthz").status_code == 200


def test_too_many_requests_or_guesses_are_429(tmp_path: Path, database_url: str) -> None:
    env = {"FILMGATE_DATABASE_URL": database_url, "FILMGATE_RATE_PER_S": "5"}
    with served(tmp_path / "home", "--workers", "0", **env) as slow:
        with slow.http() as http:
            responses = [http.get("/v1/videos") for _ in range(14)]
            assert {response.status_code for response in responses} == {200, 429}
            refused = next(each for each in responses if each.status_code == 429)
            assert error_body(refused)["error"] == "too_many"
            assert int(refused.headers["retry-after"]) >= 1
        with httpx.Client(base_url=slow.url) as guesser:
            tokens = [f"fg_{number:012d}_{'a' * 43}" for number in range(25)]
            guesses = [{"authorization": f"Bearer {token}"} for token in tokens]
            responses = [guesser.get("/v1/videos", headers=guess) for guess in guesses]
            assert [responses[0].status_code, responses[-1].status_code] == [401, 429]
        assert slow.stop() == 0


def test_the_audit_log_records_every_change_with_its_user(
    service: Served, tokens: dict[str, str]
) -> None:
    with service.http(tokens["viewer"]) as viewer:
        viewer.post("/jobs/episode-run", json={}, headers={"x-request-id": "try-this"})
    with service.http() as admin:
        entries = admin.get("/v1/audit?limit=1000").json()["entries"]
    refused = next(entry for entry in entries if entry["request_id"] == "try-this")
    assert (refused["user"], refused["status"]) == ("a-viewer", 403)
    assert refused["action"] == "POST /jobs/episode-run"
    uploads = [entry for entry in entries if entry["action"] == "POST /v1/videos"]
    assert any(entry["details"].get("asset_id") == FILM for entry in uploads)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--host", "0.0.0.0"], "requires an admin token"),
        (["--host", "0.0.0.0", "--no-auth"], "allowed only with a loopback address"),
        (["--host", "203.0.113.7", "--no-auth"], "allowed only with a loopback address"),
    ],
)
def test_other_machines_are_not_served_without_authentication(
    tmp_path: Path, database_url: str, service: Served, arguments: list[str], why: str
) -> None:
    env = {**service.env, "FILMGATE_HOME": str(tmp_path), "FILMGATE_DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "filmgate", "serve", *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert why in done.stderr
