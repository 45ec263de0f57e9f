"""The client, where the service is away for a while."""

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


def asking(answer: httpx.MockTransport) -> Client:
    return Client("http://there", "fg_0123456789ab_" + "x" * 43, transport=answer)


def test_who_waits_for_a_job_waits_also_for_the_service(slept: list[float]) -> None:
    asked = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked < 10:
            raise httpx.ConnectError("nobody there", request=request)
        return httpx.Response(200, text=JOB.model_dump_json())

    with asking(httpx.MockTransport(answer)) as client:
        assert client.wait(JOB).state is JobState.SUCCEEDED
    assert asked == 10
    assert slept


def test_a_stream_is_asked_for_half_a_minute(slept: list[float]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there", request=request)

    with asking(httpx.MockTransport(answer)) as client, pytest.raises(Unavailable):
        list(client.events("film", "r1"))
    assert 30 <= sum(slept) < 40


def test_a_download_that_breaks_off_leaves_nothing_and_says_so(tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"the beginning"
            raise httpx.ReadError("gone")

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken())

    with asking(httpx.MockTransport(answer)) as client, pytest.raises(Unavailable):
        client.media("film", tmp_path / "film.mkv")
    assert list(tmp_path.iterdir()) == []
