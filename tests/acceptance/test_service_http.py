"""HTTP details of the service: compression, methods, booleans, content types and pages."""

import gzip
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.served import Served, error_body, served

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NOT_READ = {"/episodes/{ep_id}/events", "/episodes/{ep_id}/runs/{run_id}/events"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("http") / "home"
    env = {"FILMGATE_DATABASE_URL": module_database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(home, "--workers", "0", **env) as running:
        with running.http() as admin:
            for number in range(10):
                user = {"user": f"user-{number}", "note": "n" * 100}
                assert admin.post("/v1/tokens", json=user).status_code == 201
        yield running


@pytest.fixture
def http(service: Served) -> Iterator[httpx.Client]:
    with service.http() as opened:
        yield opened


@pytest.fixture
def stranger(service: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as opened:
        yield opened


def fetch(
    http: httpx.Client, path: str, encoding: str, **headers: str
) -> tuple[httpx.Headers, bytes]:
    """Return the headers of a 200 response, and its body as it was sent."""
    with http.stream("GET", path, headers={"accept-encoding": encoding, **headers}) as response:
        assert response.status_code == 200, path
        return response.headers, b"".join(response.iter_raw())


@pytest.mark.parametrize("path", ["/openapi.json", "/v1/tokens"])
def test_large_json_is_compressed_if_the_client_accepts_gzip(http: httpx.Client, path: str) -> None:
    plain_headers, plain = fetch(http, path, "identity")
    headers, body = fetch(http, path, "gzip, deflate, br")
    assert len(plain) > 1024
    assert "content-encoding" not in plain_headers
    assert headers["content-encoding"] == "gzip"
    assert len(body) == int(headers["content-length"]) < len(plain) / 2
    assert gzip.decompress(body) == plain
    assert headers["vary"] == plain_headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "encoding", ["identity", "", "gzip;q=0", "br", "*;q=0", "identity, gzip;q=0.5", "gzip;q=much"]
)
def test_json_is_not_compressed_for_a_client_that_refuses_gzip(
    http: httpx.Client, encoding: str
) -> None:
    headers, body = fetch(http, "/v1/tokens", encoding)
    assert "content-encoding" not in headers
    assert body.startswith(b"{")


def test_small_json_pages_and_metrics_are_not_compressed(http: httpx.Client) -> None:
    for path in ("/healthz", "/v1/videos", "/docs", "/metrics"):
        headers, _ = fetch(http, path, "gzip")
        assert "content-encoding" not in headers, path


def test_each_encoding_has_its_own_tag_and_each_tag_gives_304(http: httpx.Client) -> None:
    plain, _ = fetch(http, "/v1/tokens", "identity")
    compressed, _ = fetch(http, "/v1/tokens", "gzip")
    assert plain["etag"] != compressed["etag"]
    for cached in (plain["etag"], compressed["etag"], f'"other", W/{plain["etag"]}'):
        for encoding, expected in (("identity", plain), ("gzip", compressed)):
            headers = {"accept-encoding": encoding, "if-none-match": cached}
            response = http.get("/v1/tokens", headers=headers)
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == expected["etag"]
            assert response.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_has_the_headers_of_get_for_each_encoding(http: httpx.Client, encoding: str) -> None:
    got, _ = fetch(http, "/v1/tokens", encoding)
    head = http.head("/v1/tokens", headers={"accept-encoding": encoding})
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "vary", "content-length", "content-type", "cache-control"):
        assert head.headers[name] == got[name]
    assert head.headers.get("content-encoding") == got.get("content-encoding")


def test_an_answer_with_a_secret_is_neither_compressed_nor_cached(http: httpx.Client) -> None:
    made = http.post("/v1/tokens", json={"user": "x", "note": "n" * 200})
    session = http.post("/v1/session")
    cookie = {"cookie": session.headers["set-cookie"].partition(";")[0]}
    for response in (made, session, http.get("/v1/session", headers=cookie)):
        assert "content-encoding" not in response.headers
        assert "etag" not in response.headers
        assert response.headers["cache-control"] == "no-store"


def paths_of(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Return the operations of the API description by path, with values for path parameters."""
    values = {"job_id": "1", "token_id": "none", "artifact_id": "a:b:c:1", "pipeline": "none"}
    found: dict[str, dict[str, Any]] = {}
    for path, operations in http.get("/openapi.json").json()["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda name: values.get(name[1], "none"), path)
        if path not in NOT_READ:
            found[filled] = operations
    return found


def test_405_names_exactly_the_methods_that_the_path_supports(http: httpx.Client) -> None:
    paths = paths_of(http)
    assert {"/v1/videos", "/v1/videos/none/selections/none", "/v1/session"} <= paths.keys()
    for path in paths:
        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        responses = {method: http.request(method, path) for method in methods}
        refused = {name: each for name, each in responses.items() if each.status_code == 405}
        allowed = [name for name in methods if name not in refused]
        assert refused, path
        for response in refused.values():
            assert response.headers["allow"].split(", ") == allowed, path
        assert {name.upper() for name in paths[path]} <= {*allowed}


def test_a_boolean_parameter_is_true_or_false(http: httpx.Client) -> None:
    booleans = [
        (path, parameter["name"])
        for path, operations in paths_of(http).items()
        for parameter in operations.get("get", {}).get("parameters", [])
        if parameter["in"] == "query" and parameter["schema"].get("type") == "boolean"
    ]
    assert set(booleans) >= {("/jobs", "open"), ("/v1/rulebooks/ask", "vectors")}
    for path, name in booleans:
        required = {"q": "a"} if path.endswith("ask") else {}
        for value in ("yes", "1", "on", "t", "True", "", "no", "0", "off", "true "):
            response = http.get(path, params={**required, name: value})
            assert response.status_code == 400, (path, value)
            assert "true or false" in error_body(response)["message"]
        for value in ("true", "false"):
            assert http.get(path, params={**required, name: value}).status_code in {200, 404}


def form(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """Return a form of parts with these Content-Disposition parameters and contents."""
    lines = [
        b"--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), content)
        for head, content in parts
    ]
    content_type = "multipart/form-data; boundary=x"
    return {"content": b"".join([*lines, b"--x--\r\n"]), "headers": {"content-type": content_type}}


FILE = ('name="file"; filename="a.mkv"', b"\x1aE\xdf\xa3")
LARGE = ('name="file"; filename="a.mkv"', b"\0" * 3_000_000)
"""A file of several writes to disk, which begin before the rest of the form arrives."""

LONG_BOUNDARY = {"content-type": f"multipart/form-data; boundary={'x' * 999}"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (form(FILE, FILE), "a second file"),
        (form(FILE, ('name="other"; filename="b.mkv"', b"b")), "a second file"),
        (form(LARGE, FILE), "a second file"),
        (form(FILE, ('name="asset_id"', b"a"), ('name="asset_id"', b"b")), "is repeated"),
        (form(FILE, ('name="id"', b"a")), "is unknown"),
        (form(('name="file"; filename=""', b"a")), "name of the file is missing"),
        (form(('name="asset_id"', b"a")), "no part with a filename"),
        (form((f'name="file"; filename="{"n" * 5000}"', b"a")), "form cannot be read"),
        ({**form(FILE), "content": b"--x\r\n" + b"a: b\r\n" * 9 + b"\r\n"}, "form cannot be read"),
        ({**form(FILE), "content": b"no boundary" * 1000}, "form cannot be read"),
        ({**form(FILE), "content": b""}, "no part with a filename"),
        ({**form(FILE), "headers": {"content-type": "multipart/form-data"}}, "boundary"),
        ({**form(FILE), "headers": LONG_BOUNDARY}, "form cannot be read"),
    ],
)
def test_a_hostile_form_is_refused_and_nothing_is_stored(
    http: httpx.Client, service: Served, body: dict[str, Any], reason: str
) -> None:
    response = http.post("/v1/videos", **body)
    assert response.status_code == 400, response.text
    assert reason in error_body(response)["message"]
    stored = [path for path in (service.home / "uploads").rglob("*") if path.is_file()]
    assert stored == []


def test_a_content_type_that_is_not_documented_is_415_for_every_operation(
    http: httpx.Client,
) -> None:
    checked = 0
    for path, operations in paths_of(http).items():
        for method in operations.keys() - {"get"}:
            for content_type in ("text/plain", "application/xml", "application/x+json"):
                headers = {"content-type": content_type}
                query = {"code": "x"} if path == "/enter" else {}
                response = http.request(method, path, content=b"{}", headers=headers, params=query)
                assert response.status_code == 415, (method, path, response.text)
                assert error_body(response)["error"] == "unsupported_media"
                checked += 1
    assert checked > 20
    assert http.get("/v1/session").status_code == 200  # DELETE /v1/session did nothing


def test_every_content_type_of_uploads_is_documented(http: httpx.Client) -> None:
    upload = http.get("/openapi.json").json()["paths"]["/v1/videos"]["post"]
    documented = set(upload["requestBody"]["content"])
    assert "multipart/form-data" in documented
    for content_type in documented - {"multipart/form-data"}:
        headers = {"content-type": content_type.replace("*", "mp4")}
        response = http.post("/v1/videos?filename=a.mp4", content=b"noise", headers=headers)
        assert (response.status_code, error_body(response)["error"]) == (400, "invalid")
    unnamed = http.post("/v1/videos", data={"file": "a.mp4"})
    assert unnamed.status_code == 415


@pytest.mark.parametrize("path", ["/v1/videos?filename=a.mkv", "/jobs/episode-run", "/v1/tokens"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x"])
def test_a_compressed_request_body_is_refused(
    http: httpx.Client, service: Served, path: str, coding: str
) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    headers = {"content-encoding": coding, "content-type": "application/json"}
    response = http.post(path, content=bomb, headers=headers)
    assert (response.status_code, error_body(response)["error"]) == (415, "unsupported_media")
    assert response.headers["accept-encoding"] == "identity"
    twice = [("content-encoding", coding), ("content-encoding", "identity")]
    assert http.post(path, content=bomb, headers=twice).status_code == 415


def check_is_page(response: httpx.Response, status: int, title: str) -> None:
    """Check that a response is a page without scripts under a policy that permits its style."""
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert f"<h1>{title}</h1>" in response.text
    assert "<script" not in response.text.lower()
    policy = response.headers["content-security-policy"]
    style = re.search("<style>(.*)</style>", response.text, re.S)
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["cache-control"] == "no-store"


def test_a_browser_gets_pages_for_401_404_and_a_used_link(
    service: Served, http: httpx.Client, stranger: httpx.Client
) -> None:
    unauthenticated = stranger.get("/v1/videos", headers=BROWSER)
    check_is_page(unauthenticated, 401, "Sign in")
    assert "filmgate tokens link" in unauthenticated.text
    assert unauthenticated.headers["www-authenticate"].startswith("Bearer")
    missing = http.get("/v1/videos/none", headers=BROWSER)
    check_is_page(missing, 404, "Not Found")
    hostile = http.get("/<script>alert(1)</script>", headers=BROWSER)
    check_is_page(hostile, 404, "Not Found")
    assert "&lt;script&gt;" in hostile.text
    link = service.filmgate("tokens", "link", "--url", service.url, "--scope", "viewer")
    assert stranger.get(link, headers=BROWSER).status_code == 303
    stranger.cookies.clear()
    used = stranger.get(link, headers=BROWSER)
    check_is_page(used, 401, "This link is not valid")
    assert link.partition("code=")[2] not in used.text
    check_is_page(stranger.get("/", headers=BROWSER), 200, "Filmgate")


@pytest.mark.parametrize(
    "accept",
    ["*/*", "application/json", "", "text/html;q=0, */*", "text/html;q=0.5, application/json"],
)
def test_a_program_gets_errors_as_json(
    http: httpx.Client, stranger: httpx.Client, accept: str
) -> None:
    headers = {"accept": accept}
    for response in (
        stranger.get("/v1/videos", headers=headers),
        http.get("/v1/videos/none", headers=headers),
        stranger.get("/enter?code=used", headers=headers),
        http.post("/v1/tokens", content=b"{", headers=BROWSER),
    ):
        assert response.headers["content-type"] == "application/json"
        error_body(response)
        assert response.headers["vary"] == "accept"


def test_no_model_is_loaded_for_a_question_if_there_is_no_book(
    http: httpx.Client, service: Served
) -> None:
    response = http.get("/v1/rulebooks/ask", params={"q": "how many hit points", "vectors": "true"})
    assert response.status_code == 404
    assert "has no books" in error_body(response)["message"]
    libraries = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "/tokenizers/" not in libraries  # the model needs it, and the service nothing else
