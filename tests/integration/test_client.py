"""The client while the service is unavailable."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from filmgate.client import Client
from filmgate.core.errors import Unavailable
from filmgate.core.jobs import JobAnswer, JobOutcome, JobRequest, JobState

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JOB = JobAnswer(
    job_id=1,
    run_id="r1",
    asset_id="film",
    pipeline="episode",
    state=JobState.SUCCEEDED,
    priority=0,
    tries=1,
    submitted_by="lisa",
    submitted_at=NOW,
    started_at=NOW,
    ended_at=NOW,
    worker="here",
    is_cancel_asked=False,
    outcome=JobOutcome(exit_code=0),
    request=JobRequest(asset_id="film"),
)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("filmgate.client.client.time.sleep", pauses.append)
    return pauses


def client_of(transport: httpx.MockTransport) -> Client:
    return Client("http://service", "fg_0123456789ab_" + "x" * 43, transport=transport)


def test_waiting_for_a_job_continues_while_the_service_is_unavailable(slept: list[float]) -> None:
    requests = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        if requests < 10:
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(200, text=JOB.model_dump_json())

    with client_of(httpx.MockTransport(answer)) as client:
        assert client.wait(JOB).state is JobState.SUCCEEDED
    assert requests == 10
    assert slept


def test_a_stream_is_retried_for_half_a_minute(slept: list[float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with client_of(httpx.MockTransport(answer)) as client, pytest.raises(Unavailable):
        list(client.events("film", "r1"))
    assert 30 <= sum(slept) < 40


def test_an_interrupted_download_raises_and_leaves_no_file(tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"the beginning"
            raise httpx.ReadError("gone")

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken())

    with client_of(httpx.MockTransport(answer)) as client, pytest.raises(Unavailable):
        client.media("film", tmp_path / "film.mkv")
    assert list(tmp_path.iterdir()) == []
