"""Telemetry of the service: access log, metrics, request ids and OpenTelemetry spans."""

import atexit
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope as ASGIScope

from filmgate.core.redaction import redact_text
from filmgate.wiring.clock import utc_now
from filmgate.wiring.exports import tracer_provider

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of request durations, in seconds."""

REFRESH_S = 5.0
"""Time for which values from the database are cached, in seconds."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Metrics:
    """Metrics for Prometheus: counters of this process, gauges with values from the database."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._refresh_at = 0.0
        self.requests = Counter(
            "filmgate_http_requests",
            "Number of requests by method, route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "filmgate_http_request_seconds",
            "Duration of requests by route, in seconds.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.streams = Gauge(
            "filmgate_event_streams", "Number of open event streams.", registry=self._registry
        )
        self.bytes_in = Counter(
            "filmgate_uploaded_bytes", "Bytes of uploaded videos.", registry=self._registry
        )
        self._database_gauges = {
            name: Gauge(f"filmgate_{name}", description, labels, registry=self._registry)
            for name, (description, labels) in DATABASE_GAUGES.items()
        }

    def render(self, query: Callable[[], Mapping[str, Mapping[tuple[str, ...], float]]]) -> bytes:
        """Return all metrics in the text format of Prometheus.

        `query` returns the values of `DATABASE_GAUGES` by name and labels; it is called at most
        once in `REFRESH_S`.
        """
        with self._lock:
            if time.monotonic() >= self._refresh_at:
                self._set_database_gauges(query())
                self._refresh_at = time.monotonic() + REFRESH_S
            return generate_latest(self._registry)

    def _set_database_gauges(self, values: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        for name, gauge in self._database_gauges.items():
            gauge.clear()
            for labels, value in values.get(name, {}).items():
                (gauge.labels(*labels) if labels else gauge).set(value)


DATABASE_GAUGES: dict[str, tuple[str, list[str]]] = {
    "jobs": ("Number of jobs by state.", ["state"]),
    "runs": ("Number of runs in the database by pipeline and status.", ["pipeline", "status"]),
    "stages": ("Number of stages of ingested runs by stage and status.", ["stage", "status"]),
    "ingest_receipts": ("Number of ingested manifests by consumer.", ["consumer"]),
    "database_up": ("1 if the database answers, else 0.", []),
}
"""Description and label names of the gauges with values of the database, by name."""


def request_id_of(scope: ASGIScope) -> str:
    """Return the request's X-Request-ID if it is valid and contains no secret; else a new id."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            request_id = value.decode("latin-1")
            if _REQUEST_ID.match(request_id) and redact_text(request_id) == request_id:
                return str(request_id)
    return secrets.token_hex(8)


PEOPLE_PATH = "/v1/people/"
"""Start of paths that end with the name or the id of a person."""


def shown_path(scope: ASGIScope) -> str:
    """Return the path of a request for logs, without names of people."""
    path: str = scope["path"]
    return f"{PEOPLE_PATH}{{person}}" if path.startswith(PEOPLE_PATH) else path


class AccessLog:
    """Writes one JSON line for each request to stderr.

    Paths are logged without their queries, which contain search texts and codes of one-time links.
    Lines go to stderr without structlog, for speed; only the parts that a client controls are
    redacted.
    """

    def write(self, scope: ASGIScope, *, status: int, started: float, **fields: str | None) -> None:
        """Log an answered request; `started` is its start according to `time.perf_counter`."""
        line = {
            "event": "http.request",
            "level": "info",
            "timestamp": utc_now().isoformat(),
            "method": scope["method"],
            "path": redact_text(shown_path(scope)[:500]),
            "status": status,
            "ms": round((time.perf_counter() - started) * 1000, 2),
            **fields,
        }
        sys.stderr.write(json.dumps(line) + "\n")


class Spans:
    """OpenTelemetry spans of requests; they have no effect if spans are not exported."""

    def __init__(self, *, is_on: bool) -> None:
        self._provider = tracer_provider() if is_on else None
        self._tracer = self._provider.get_tracer("filmgate.http") if self._provider else None
        if is_on:
            atexit.register(self.close)

    def close(self) -> None:
        """Send the remaining spans."""
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None

    def span(self, scope: ASGIScope) -> AbstractContextManager[object]:
        """Return a span that covers the handling of a request."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.start_as_current_span(
            f"{scope['method']} {scope['path'].strip('/').partition('/')[0]}",
            attributes={"http.request.method": scope["method"], "url.path": shown_path(scope)},
        )
