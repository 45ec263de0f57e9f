"""What a run reports while it works: logs, status, manifest, traces and lineage events."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from openlineage.client import OpenLineageClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from filmgate.api.telemetry import Spans
from filmgate.cli.output import print_reasons
from filmgate.core.digest import canonical_json
from filmgate.core.errors import Invalid
from filmgate.core.plan import Done, Outcome, Plan, Settings, stage
from filmgate.core.ports import StageContext
from filmgate.core.states import RunState
from filmgate.services.run_status import RunStatus
from filmgate.store.run_directory import FolderRun
from filmgate.tools.openlineage_export import LineageExport
from filmgate.tools.opentelemetry_export import SpanExport
from filmgate.wiring.logs import LogFile
from support.graph import GRAPH
from support.runs import PLAN, PRODUCER, execute, reserve_run

SECRET = "hunter2"


def events_of(run: FolderRun, name: str) -> list[dict[str, Any]]:
    lines = (run.folder / "logs" / f"{name}.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_an_unexpected_failure_names_the_command_that_shows_its_traceback(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write_text("!")
    run = reserve_run(tmp_path / "home", source)
    print_reasons(execute(run, source))
    line = f"Traceback of read: filmgate logs film/{run.head.run_id} read\n"
    assert line in capsys.readouterr().out
    assert "RuntimeError: the source is invalid" in events_of(run, "read")[1]["traceback"]


def test_a_stage_logs_its_start_with_its_inputs_and_its_end(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    execute(run, source)
    started, ended = events_of(run, "part")
    assert (started["event"], started["inputs"], started["attempt"]) == (
        "stage.started",
        ["letters.json"],
        1,
    )
    assert ended["event"] == "stage.ended"
    assert ended["counts"] == {"scenes": 3}
    assert ended["duration_s"] >= 0
    assert ended["warnings"] == 0
    assert ended["artifacts"] == ["scenes.jsonl"]


@stage()
def leaky(context: StageContext, settings: Settings) -> Outcome:
    """Report and raise texts that contain secrets."""
    context.warn("w", f"using postgresql://me:{SECRET}@db", password=SECRET)
    if context.source.read_text() == "!":
        raise RuntimeError(f"token={SECRET} was refused")
    return Done(producer=PRODUCER, metrics={"api_key": SECRET, "tokens": 12})


LEAKY = Plan(pipeline="leaky", stages=(leaky,))


@pytest.mark.parametrize("text", ["fine", "!"])
def test_secrets_reach_no_file_of_the_run_and_no_sink(
    tmp_path: Path, source: Path, text: str
) -> None:
    source.write_text(text)
    run = reserve_run(tmp_path / "home", source, plan=LEAKY)
    events: list[Mapping[str, Any]] = []
    execute(run, source, plan=LEAKY, sinks=(events.append,))
    written = b"".join(path.read_bytes() for path in run.folder.rglob("*") if path.is_file())
    assert SECRET not in written.decode()
    assert SECRET not in canonical_json([dict(event) for event in events]).decode()
    assert b"postgresql://[redacted]@db" in written


def test_totals_are_summed_in_the_manifest(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source, plan=LEAKY)
    metrics = execute(run, source, plan=LEAKY).metrics
    assert metrics["tokens"] == 12
    assert metrics["counts"] == {
        "artifact_files": 0,
        "records": 0,
        "warnings": 1,
        "failed_items": 0,
    }
    assert execute(reserve_run(tmp_path / "home", source), source).metrics["tokens"] is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("INFO", {"run.started", "stage.started", "stage.ended", "run.ended", "item.failed"}),
        ("ERROR", {"item.failed"}),
    ],
)
def test_a_log_file_has_the_events_of_all_stages_at_the_chosen_level(
    tmp_path: Path, source: Path, level: str, expected: set[str]
) -> None:
    log = tmp_path / "logs" / "all.ndjson"
    run = reserve_run(tmp_path / "home", source, plan=GRAPH, config={"count": {"last": 7}})
    execute(run, source, plan=GRAPH, sinks=(LogFile(log, level),), jobs=2)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event["event"] for event in events} == expected
    assert {(event["pipeline"], event["asset_id"]) for event in events} == {("graph", "film")}


def test_a_log_file_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="file cannot be used"):
        LogFile(tmp_path / "file" / "log.ndjson", "INFO")


def test_the_status_file_and_the_manifest_are_current_while_a_stage_works(
    tmp_path: Path, source: Path
) -> None:
    def read_status() -> dict[str, Any]:
        return FolderRun(run.folder).read_status()

    @stage(requires=["read"])
    def long(context: StageContext, settings: Settings) -> Outcome:
        context.progress(3, 10)
        deadline = time.monotonic() + 10
        while not (run.folder / "status.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        first = read_status()["heartbeat"]
        while read_status()["heartbeat"] == first and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(read_status())
        seen.append(json.loads((run.folder / "manifest.json").read_bytes()))
        return Done(producer=PRODUCER)

    seen: list[dict[str, Any]] = []
    plan = Plan(pipeline="long", stages=(PLAN.stages[0], long))
    run = reserve_run(tmp_path / "home", source, plan=plan)
    execute(run, source, plan=plan, clock=lambda: datetime.now(UTC))
    live, manifest = seen
    assert live["stages"]["long"] == {"status": "RUNNING", "attempt": 1, "done": 3, "total": 10}
    assert manifest["status"] == "RUNNING"
    assert manifest["stages"]["read"]["status"] == "SUCCESS"
    assert manifest["stages"]["long"]["status"] == "RUNNING"


def test_a_runner_without_heartbeat_is_suspect_and_its_run_is_still_running(
    tmp_path: Path, source: Path
) -> None:
    run = reserve_run(tmp_path / "home", source)
    now = datetime.now(UTC)
    long_ago = (now - timedelta(seconds=40)).isoformat()
    with run.acquire_lease(now) as lease:
        run.write_status({"heartbeat": long_ago, "stages": {}, "epoch": lease.epoch - 1})
        assert not RunStatus.of(run, now).is_suspect, "that status is of an earlier runner"
        run.write_status({"heartbeat": long_ago, "stages": {}, "epoch": lease.epoch})
        status = RunStatus.of(run, now)
        assert status.is_suspect
        assert status.manifest.status is RunState.RUNNING
    assert not RunStatus.of(run, now).is_suspect


class Collector(HTTPServer):
    """An HTTP server that stores the bodies sent to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _StoringHandler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _StoringHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def running_collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_run_is_exported_as_an_opentelemetry_trace(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write_text("")
    run = reserve_run(tmp_path / "home", source)
    with running_collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        execute(run, source, sinks=(SpanExport(),))
    request = ExportTraceServiceRequest()
    for body in server.bodies:
        request.MergeFromString(body)
    spans = {
        span.name: span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert sorted(spans) == ["part", "read", "run letters", "speak"]
    assert {spans[name].parent_span_id for name in PLAN.names} == {spans["run letters"].span_id}
    facts = {item.key: item.value.string_value for item in spans["part"].attributes}
    assert facts["filmgate.status"] == "SKIPPED"
    assert facts["filmgate.run_id"] == run.head.run_id


def test_a_request_is_exported_as_an_opentelemetry_span(monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"method": "GET", "path": "/v1/videos/film/jump"}
    with running_collector() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        spans = Spans(is_on=True)
        with spans.span(request):
            pass
        spans.close()
    exported = ExportTraceServiceRequest()
    for body in server.bodies:
        exported.MergeFromString(body)
    (span,) = [
        span
        for resource in exported.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    facts = {item.key: item.value.string_value for item in span.attributes}
    assert span.name == "GET v1"
    assert facts == {"http.request.method": "GET", "url.path": "/v1/videos/film/jump"}


def lineage_client(url: str) -> OpenLineageClient:
    return OpenLineageClient(config={"transport": {"type": "http", "url": url}})


def test_a_run_is_exported_as_openlineage_events(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    with running_collector() as server:
        execute(run, source, sinks=(LineageExport(lineage_client(server.url)),))
    events = [json.loads(body) for body in server.bodies]
    exported = [(event["job"]["name"], event["eventType"]) for event in events]
    assert exported == [
        ("letters", "START"),
        *[(f"letters.{n}", kind) for n in PLAN.names for kind in ("START", "COMPLETE")],
        ("letters", "COMPLETE"),
    ]
    started = next(e for e in events if e["job"]["name"] == "letters.part")
    ended = [e for e in events if e["job"]["name"] == "letters.part"][-1]
    assert started["run"]["runId"] == ended["run"]["runId"]
    assert [dataset["name"] for dataset in started["inputs"]] == [
        f"film/{run.head.run_id}/letters.json"
    ]
    assert [dataset["name"] for dataset in ended["outputs"]] == [
        f"film/{run.head.run_id}/scenes.jsonl"
    ]
    assert ended["run"]["facets"]["parent"]["job"]["name"] == "letters"


def test_an_unreachable_lineage_server_does_not_fail_the_run(tmp_path: Path, source: Path) -> None:
    run = reserve_run(tmp_path / "home", source)
    client = lineage_client("http://127.0.0.1:9")
    assert execute(run, source, sinks=(LineageExport(client),)).status is RunState.SUCCESS
