"""Attacks on a real server: smuggled requests, foreign hosts, ranges, links, injected headers."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.films import film_of_shots
from support.served import Served, error_body, served, until

pytestmark = pytest.mark.proof

FILM = "film"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""A request inside the body of another. A server that disagrees with a proxy about the end of the
body would read it as the next request."""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film_of_shots(tmp_path_factory.mktemp("film") / f"{FILM}.mkv", [25, 25])


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, film: Path
) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("attacked") / "home"
    env = {"FILMGATE_DATABASE_URL": module_database_url, "FILMGATE_RATE_PER_S": "0"}
    with served(home, "--workers", "0", **env) as running:
        with running.client() as client:
            client.upload(film)
        yield running


@pytest.fixture
def http(service: Served) -> Iterator[httpx.Client]:
    with service.http() as opened:
        yield opened


def send(service: Served, request: bytes, silence_s: float = 1) -> bytes:
    """Send bytes; return all responses, until the server closes or is silent."""
    address = ("127.0.0.1", service.port)
    with socket.create_connection(address, timeout=silence_s) as connection:
        responses = b""
        try:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                responses += chunk
        except (TimeoutError, ConnectionError):
            pass
        return responses


def statuses(responses: bytes) -> list[bytes]:
    return [each[:3] for each in responses.split(b"HTTP/1.1 ")[1:]]


CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
AMBIGUOUS = {
    "length and chunks": ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "chunks and length": ([b"Transfer-Encoding: chunked", b"Content-Length: 5"], b"0\r\n\r\n"),
    "two lengths": ([b"Content-Length: 0", b"Content-Length: 44"], b""),
    "list of lengths": ([b"Content-Length: 0, 44"], b""),
    "signed length": ([b"Content-Length: +0"], b""),
    "hexadecimal length": ([b"Content-Length: 0x0"], b""),
    "huge length": ([b"Content-Length: 18446744073709551616"], b""),
    "blank in a name": ([b"Transfer-Encoding : chunked", b"Content-Length: 5"], b"0\r\n\r\n"),
    "unknown coding": ([b"Transfer-Encoding: xchunked"], CHUNKED),
    "chunked not last": ([b"Transfer-Encoding: chunked, identity"], CHUNKED),
    "folded field": ([b"Transfer-Encoding:\r\n chunked", b"Content-Length: 5"], b"0\r\n\r\n"),
    "control character": ([b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5"], b"0\r\n\r\n"),
    "signed chunk": ([b"Transfer-Encoding: chunked"], b"-1\r\n\r\n"),
    "chunk with 0x": ([b"Transfer-Encoding: chunked"], b"0x0\r\n\r\n"),
    "huge chunk": ([b"Transfer-Encoding: chunked"], b"10000000000000000\r\n\r\n"),
    "chunk without CR": ([b"Transfer-Encoding: chunked"], b"0\n\n"),
    "data after a chunk": ([b"Transfer-Encoding: chunked"], b"1\r\nabc\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_whose_end_is_ambiguous_smuggles_no_other(service: Served, name: str) -> None:
    fields, body = AMBIGUOUS[name]
    head = [b"POST /jobs/1/cancel HTTP/1.1", b"Host: 127.0.0.1", *fields, b"", b""]
    responses = send(service, b"\r\n".join(head) + body + SMUGGLED)
    assert statuses(responses) in ([b"400"], [b"401"], []), responses
    assert b"/smuggled" not in service.read_log().encode()


def test_a_pipelined_request_is_answered_so_that_smuggling_would_be_seen(service: Served) -> None:
    seen = SMUGGLED.replace(b"/smuggled", b"/seen")
    responses = send(service, seen + seen)
    assert statuses(responses) == [b"401", b"401"]
    assert "/seen" in service.read_log()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "localhost@evil.example",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "localhost.",
        "127.1:{port}",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0.0.0.0:{port}",
        "",
    ],
)
def test_no_other_spelling_of_a_host_is_accepted(service: Served, host: str) -> None:
    name = host.format(port=service.port)
    for forwarded in ("", "X-Forwarded-Host: 127.0.0.1\r\n"):
        fields = f"Host: {name}\r\n{forwarded}Authorization: Bearer {service.token}\r\n"
        response = send(service, f"GET /v1/videos HTTP/1.1\r\n{fields}\r\n".encode())
        assert statuses(response) == [b"400"], response


@pytest.mark.parametrize("hosts", [("127.0.0.1", "evil.example"), ("evil.example", "127.0.0.1")])
def test_a_repeated_host_is_refused(service: Served, hosts: tuple[str, str]) -> None:
    fields = "".join(f"Host: {host}\r\n" for host in hosts)
    request = f"GET /healthz HTTP/1.1\r\n{fields}\r\n"
    assert statuses(send(service, request.encode())) == [b"400"]


def test_many_ranges_send_the_film_once(http: httpx.Client, film: Path) -> None:
    size = film.stat().st_size
    many = [
        "bytes=" + ",".join(["0-"] * 1000),
        "bytes=" + ",".join(f"{start}-" for start in range(1000)),
        "bytes=0-0,-1",
        "bytes=5-1",
        "bytes=0-" + "9" * 5000,
        "bytes=--5",
        "chunks=0-1",
        "bytes=٠-٩",
    ]
    for value in many:
        headers = [(b"range", value.encode())]
        response = http.get(f"/v1/videos/{FILM}/media", headers=headers)
        assert (response.status_code, len(response.content)) == (200, size), value[:40]
    for value in (f"bytes={size}-", "bytes=-0", "bytes=999999999999999999-"):
        response = http.get(f"/v1/videos/{FILM}/media", headers={"range": value})
        assert response.status_code == 416, value
        assert response.headers["content-range"] == f"bytes */{size}"


def test_only_one_of_many_simultaneous_uses_of_a_link_succeeds(service: Served) -> None:
    link = service.filmgate("tokens", "link", "--url", service.url, "--scope", "viewer")
    with ThreadPoolExecutor(16) as threads:
        uses = list(threads.map(lambda number: _use(link, by_get=bool(number % 2)), range(16)))
    assert Counter(status in {201, 303} for status in uses) == {True: 1, False: 15}
    assert set(uses) <= {201, 303, 401}


def _use(link: str, *, by_get: bool) -> int:
    return (httpx.get if by_get else httpx.post)(link, timeout=30).status_code


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=y.mkv", 'a"; filename="b.mkv', "a\x00b.mkv", "ä;x=1\n.mkv"]
)
def test_the_name_of_an_upload_injects_no_header(http: httpx.Client, film: Path, name: str) -> None:
    params = {"filename": name, "asset_id": "injected"}
    uploaded = http.post("/v1/videos", params=params, content=film.read_bytes())
    assert uploaded.status_code in {200, 201, 400}, uploaded.text
    answers = [uploaded, http.get("/v1/videos/injected/media"), http.get("/v1/videos/injected")]
    for answer in answers:
        assert "set-cookie" not in answer.headers
        disposition = answer.headers.get("content-disposition", "")
        assert disposition.count(";") <= 1


def test_the_id_of_a_request_injects_neither_header_nor_log_line(service: Served) -> None:
    injected = b"ok\x0bevent: forged"
    request = b"GET /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: %s\r\n\r\n" % injected
    response = send(service, request)
    assert statuses(response)[0] in {b"400", b"401"}
    assert b"forged" not in response
    assert "forged" not in service.read_log()


def test_a_form_of_another_site_cannot_submit_with_a_session(
    service: Served, http: httpx.Client
) -> None:
    """A form sends `text/plain` or a form without preflight; its text can be JSON."""
    session = http.post("/v1/session")
    cookie = session.headers["set-cookie"].partition(";")[0]
    assert "SameSite=strict" in session.headers["set-cookie"]
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        for origin in ("http://evil.example", "null"):
            headers = {"cookie": cookie, "content-type": content_type, "origin": origin}
            body = b'{"user": "evil", "scope": "admin", "note": "="}'
            with httpx.Client(base_url=service.url, headers=headers) as browser:
                assert browser.post("/v1/tokens", content=body).status_code == 403
                assert browser.post("/v1/videos?filename=a.mkv", content=body).status_code == 403
    users = [token["user"] for token in http.get("/v1/tokens").json()["tokens"]]
    assert "evil" not in users


def test_a_compressed_upload_is_refused_before_it_is_read(service: Served) -> None:
    fields = f"Host: 127.0.0.1\r\nAuthorization: Bearer {service.token}\r\n"
    fields += "Content-Encoding: gzip\r\nContent-Length: 10000000\r\n"
    response = send(service, f"POST /v1/videos?filename=a.mkv HTTP/1.1\r\n{fields}\r\n".encode())
    assert statuses(response) == [b"415"]


def test_a_share_token_is_neither_compressed_nor_cached(http: httpx.Client) -> None:
    made = http.post(f"/v1/videos/{FILM}/shares", json={"note": "n" * 200})
    assert made.json()["token"].startswith("fg_")
    assert made.headers["cache-control"] == "no-store"
    assert not {"etag", "content-encoding"} & made.headers.keys()


FORWARDED = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}


@pytest.mark.parametrize("proxies", ["", "127.0.0.1"])
def test_forwarded_fields_are_read_only_from_trusted_proxies(
    tmp_path: Path, database_url: str, proxies: str
) -> None:
    env = {"FILMGATE_DATABASE_URL": database_url}
    options = ["--proxies", proxies] if proxies else []
    with (
        served(tmp_path / "home", "--workers", "0", *options, **env) as running,
        running.http() as http,
    ):
        cookie = http.post("/v1/session", headers=FORWARDED).headers["set-cookie"]
        entries = until(lambda: http.get("/v1/audit?limit=1").json()["entries"])
    assert ("Secure" in cookie) == bool(proxies)
    assert entries[0]["address"] == ("203.0.113.9" if proxies else "127.0.0.1")


def test_the_server_still_answers_after_all_attacks(http: httpx.Client, service: Served) -> None:
    assert http.get("/healthz").status_code == 200
    assert "Traceback" not in service.read_log()
    assert error_body(http.get("/v1/videos/none"))["error"] == "not_found"
