"""Share tokens: they permit requests for one asset only, expire, and are listed and revoked."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from filmgate.api.application import create_app
from filmgate.api.middleware import PUBLIC_PATHS
from filmgate.api.service import AuthMode, Service
from filmgate.core.access import SHARED_PATHS, Scope, is_shared
from filmgate.core.errors import Invalid, NotPermitted
from filmgate.db.connection import connected
from filmgate.services.access import AccessService
from filmgate.wiring.settings import Settings
from support.archive import ingest_artifacts, scene_payload, transcript_payload
from support.command import Filmgate
from support.database import COMPLETE
from support.runs import finished_run
from support.served import error_body

pytestmark = pytest.mark.filterwarnings("ignore:The 'alias' attribute with value 'body'")
"""FastAPI causes this warning of Pydantic when it describes a model that is built later."""

SHARED, OTHER = "shared-film", "other-film"
QUERIES = {"jump": {"kind": "scene"}, "find": {"q": "gate"}, "profiles": {}}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    for asset in (SHARED, OTHER):
        with connected(database_url, COMPLETE) as connection:
            ingest_artifacts(
                connection,
                {
                    "scene": [(0, 500, scene_payload())],
                    "transcript.segment": [(0, 500, transcript_payload(f"the gate of {asset}"))],
                },
                asset=asset,
                run=f"run-of-{asset}",
            )
    return Settings(home=tmp_path / "home", database_url=database_url)


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    opened = Service(settings, AuthMode.REQUIRED, ())
    with opened.database.pooled(4):
        yield opened


@pytest.fixture
def shared(service: Service) -> str:
    return service.access.create_share(SHARED, "lisa").token


Request = tuple[str, str, dict[str, Any]]


def send_all(service: Service, token: str, requests: Iterable[Request]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(service), client=("127.0.0.1", 1))
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=headers
        ) as http:
            return [await http.request(method, path, **more) for method, path, more in requests]

    return asyncio.run(run())


def send(service: Service, token: str, method: str, path: str, **more: Any) -> httpx.Response:
    return send_all(service, token, [(method, path, more)])[0]


def operations(service: Service) -> list[tuple[str, str]]:
    """Return the method and path of every operation in the OpenAPI description."""
    paths = create_app(service).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def fill(path: str, asset: str) -> str:
    """Fill the parameters of a path, all assets with the same."""
    filled = re.sub(r"{(asset_id|ep_id)}", asset, path)
    filled = filled.replace("{artifact_id}", f"{asset}:run-of-{asset}:scene:0")
    return re.sub(r"{\w+}", f"run-of-{asset}", filled)


def test_every_endpoint_but_those_of_the_shared_video_is_forbidden(
    service: Service, shared: str
) -> None:
    found = [(method, path) for method, path in operations(service) if path not in PUBLIC_PATHS]
    assert len(found) > 45
    permitted = {("GET", path) for path in SHARED_PATHS}
    assert permitted <= set(found)
    for asset in (SHARED, OTHER):
        requests: list[Request] = [(method, fill(path, asset), {}) for method, path in found]
        for operation, response in zip(found, send_all(service, shared, requests), strict=True):
            is_permitted = operation in permitted and asset == SHARED
            assert (response.status_code != 403) is is_permitted, (operation, asset, response.text)
            if not is_permitted:
                assert "share token does not permit" in error_body(response)["message"]
                assert OTHER not in response.text.replace(fill(operation[1], asset), "")


def test_the_queries_of_the_shared_video_are_answered(service: Service, shared: str) -> None:
    for name, params in QUERIES.items():
        response = send(service, shared, "GET", f"/v1/videos/{SHARED}/{name}", params=params)
        assert response.status_code == 200, response.text
    video, artifacts = (
        send(service, shared, "GET", f"/v1/videos/{SHARED}{path}").json()
        for path in ("", "/artifacts")
    )
    assert video["asset_id"] == SHARED
    assert {artifact["asset_id"] for artifact in artifacts["artifacts"]} == {SHARED}


@pytest.mark.parametrize(
    "path",
    [
        *(f"/v1/videos/{SHARED}/{name}" for name in ("jump", "find", "artifacts", "screentime")),
        f"/episodes/{SHARED}/status",
    ],
)
def test_a_run_of_another_video_cannot_be_named(service: Service, shared: str, path: str) -> None:
    params = {"run_id": f"run-of-{OTHER}", **QUERIES.get(path.rpartition("/")[2], {})}
    response = send(service, shared, "GET", path, params=params)
    if response.status_code == 200:
        assert not response.json().get("hits")
        assert not response.json().get("artifacts")
        assert response.json()["runs"] == {}
    else:
        assert response.status_code == 404, response.text


def test_a_cursor_of_another_video_gives_no_artifacts_of_it(service: Service, shared: str) -> None:
    admin = service.access.create_token("ada", Scope.ADMIN)
    path = "/v1/videos/{}/artifacts?limit=1"
    page = send(service, admin.token, "GET", path.format(OTHER)).json()
    cursor = page["next_cursor"]
    response = send(service, shared, "GET", f"{path.format(SHARED)}&cursor={cursor}")
    assert response.status_code in {400, 409}, response.text


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/videos/{SHARED}/../{OTHER}",
        f"/v1/videos/{SHARED}%2F..%2F{OTHER}/media",
        f"/v1/videos/{OTHER}%00{SHARED}",
        f"/v1/videos/{SHARED}/media%0A",
        f"//v1/videos/{SHARED}",
        f"/v1/videos/{SHARED}/",
        f"/V1/videos/{SHARED}",
        f"/v1/videos/{SHARED.upper()}",
        f"/episodes/{OTHER}/runs/{SHARED}/export",
    ],
)
def test_another_form_of_a_path_is_forbidden(service: Service, shared: str, path: str) -> None:
    assert send(service, shared, "GET", path).status_code == 403


def test_a_share_token_starts_no_session_and_no_job(service: Service, shared: str) -> None:
    assert send(service, shared, "POST", "/v1/session").status_code == 403
    caller = service.access.find_token_holder(shared)
    assert caller is not None
    assert (caller.scope, caller.asset_id) == (Scope.VIEWER, SHARED)
    with pytest.raises(NotPermitted, match="cannot be started with a share token"):
        service.access.begin_session(caller, None)
    with service.access.store() as stored:
        (entry,) = stored.audit_entries(10, None).entries
    assert (entry.token_id, entry.target, entry.status) == (caller.token_id, "/v1/session", 403)


def test_an_operator_creates_lists_and_revokes_share_tokens(service: Service) -> None:
    operator = service.access.create_token("lisa", Scope.OPERATOR)
    path = f"/v1/videos/{SHARED}/shares"
    made = send(service, operator.token, "POST", path, json={"note": "for the client"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    token = made.json()
    assert (token["asset_id"], token["created_by"], token["scope"]) == (SHARED, "lisa", "viewer")
    (listed,) = send(service, operator.token, "GET", path).json()["tokens"]
    assert listed == {name: value for name, value in token.items() if name != "token"}
    shared = token["token"]
    assert send(service, shared, "GET", f"/v1/videos/{SHARED}").status_code == 200
    elsewhere = f"/v1/videos/{OTHER}/shares/{token['token_id']}"
    assert send(service, operator.token, "DELETE", elsewhere).status_code == 404
    assert send(service, shared, "GET", f"/v1/videos/{SHARED}").status_code == 200
    ended = send(service, operator.token, "DELETE", f"{path}/{token['token_id']}")
    assert ended.json()["revoked_at"] is not None
    assert send(service, shared, "GET", f"/v1/videos/{SHARED}").status_code == 401
    with service.access.store() as stored:
        entries = stored.audit_entries(10, None).entries
    details = {"token_id": token["token_id"], "asset_id": SHARED}
    assert [(entry.user, entry.status, entry.details) for entry in entries] == [
        ("lisa", 200, details),
        ("lisa", 404, {}),
        ("lisa", 201, details),
    ]


def test_a_viewer_cannot_share_and_an_unknown_video_cannot_be_shared(service: Service) -> None:
    viewer = service.access.create_token("bob", Scope.VIEWER)
    operator = service.access.create_token("lisa", Scope.OPERATOR)
    for method in ("GET", "POST"):
        path = f"/v1/videos/{SHARED}/shares"
        assert send(service, viewer.token, method, path).status_code == 403
    assert send(service, operator.token, "POST", "/v1/videos/unknown/shares").status_code == 404
    with service.access.store() as stored:
        assert stored.shares(SHARED).tokens == stored.shares("unknown").tokens == ()


@pytest.mark.parametrize("expires_in_s", [0, -1, 91 * 24 * 3600, None])
def test_a_share_token_always_expires(service: Service, expires_in_s: int | None) -> None:
    operator = service.access.create_token("lisa", Scope.OPERATOR)
    body = {"expires_in_s": expires_in_s}
    path = f"/v1/videos/{SHARED}/shares"
    assert send(service, operator.token, "POST", path, json=body).status_code == 400


def test_an_expired_share_token_is_refused(service: Service, database_url: str) -> None:
    shared = service.access.create_share(SHARED, "lisa")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update filmgate.access_tokens set expires_at = now()")
    assert send(service, shared.token, "GET", f"/v1/videos/{SHARED}").status_code == 401


def test_the_command_creates_a_share_token_of_a_video_that_exists(
    settings: Settings, tmp_path: Path
) -> None:
    command = Filmgate(tmp_path / "home", settings.database_url)
    token = command("tokens", "share", SHARED, "--expires", "2w").stdout.strip()
    caller = AccessService(settings).find_token_holder(token)
    assert caller is not None
    assert caller.asset_id == SHARED
    assert command("tokens", "share", "unknown").returncode == 5
    assert command("tokens", "share", SHARED, "--expires", "never").returncode == 2
    assert command("tokens", "share", SHARED, "--expires", "100d").returncode == 4
    assert SHARED in command("tokens", "list").stdout
    with AccessService(settings).store() as stored:
        (entry,) = stored.audit_entries(10, None).entries
    assert (entry.action, entry.target) == ("tokens share", caller.token_id)
    assert entry.details == {"asset_id": SHARED}


def test_a_share_token_has_limits_of_its_own(service: Service) -> None:
    first, second = (service.access.create_share(SHARED, "lisa") for _ in range(2))
    assert len({first.user, second.user, "lisa"}) == 3


def test_head_is_permitted_where_get_is(service: Service, shared: str) -> None:
    for path, status in ((f"/v1/videos/{SHARED}", 200), (f"/v1/videos/{OTHER}", 403)):
        assert send(service, shared, "HEAD", path).status_code == status


def test_a_share_token_sees_states_but_no_messages_jobs_or_places(
    service: Service, tmp_path: Path, source: Path
) -> None:
    service.jobs.prepare()
    head = finished_run(tmp_path, source).head
    asset = head.asset.id
    shared = service.access.create_share(asset, "lisa").token
    whole = service.run_queries.status(asset, head.run_id).model_copy(
        update={"sealed_to": "s3://results", "suggested_actions": ("Look into /srv",)}
    )
    seen = whole.for_share()
    assert (seen.sealed_to, seen.job, seen.suggested_actions) == (None, None, ())
    assert {name: stage.status for name, stage in seen.stages.items()} == {
        name: stage.status for name, stage in whole.stages.items()
    }
    answer = send(service, shared, "GET", f"/episodes/{asset}/status").json()
    assert answer["status"] == "SUCCESS"
    assert str(tmp_path) not in str(answer)
    for events in (f"/episodes/{asset}/events", f"/episodes/{asset}/logs/make"):
        assert send(service, shared, "GET", events).status_code == 403


def test_only_get_requests_are_shared() -> None:
    path = f"/v1/videos/{SHARED}"
    assert is_shared(SHARED, "GET", path)
    assert not any(is_shared(SHARED, method, path) for method in ("POST", "PUT", "DELETE"))


def test_the_lifetime_is_checked_for_callers_of_the_service_too(service: Service) -> None:
    with pytest.raises(Invalid, match="the lifetime of the token is invalid"):
        service.access.create_share(SHARED, "lisa", lifetime=timedelta(days=91))
