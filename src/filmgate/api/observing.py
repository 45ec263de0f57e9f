"""What the service says of itself: access logs, metrics, request ids, spans."""

import atexit
import json
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope as Request

from filmgate.app.clock import utc_now
from filmgate.core.redaction import redact_text

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ASK_EVERY_S = 5.0
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class Metrics:
    """Counted while serving; what the database knows is asked when they are read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._ask_again = 0.0
        self.requests = Counter(
            "filmgate_http_requests",
            "Requests, by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "filmgate_http_request_seconds",
            "How long requests took, by route.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.streams = Gauge(
            "filmgate_event_streams", "Event streams that are open.", registry=self._registry
        )
        self.bytes_in = Counter(
            "filmgate_uploaded_bytes", "Bytes of videos that came in.", registry=self._registry
        )
        self._known = {
            name: Gauge(f"filmgate_{name}", told, labels, registry=self._registry)
            for name, (told, labels) in KNOWN.items()
        }

    def text(self, ask: Callable[[], Mapping[str, Mapping[tuple[str, ...], float]]]) -> bytes:
        """All of it, as Prometheus reads it; `ask` tells what the database knows, by name and
        labels, and is asked every five seconds at most."""
        with self._lock:
            if time.monotonic() >= self._ask_again:
                self._remember(ask())
                self._ask_again = time.monotonic() + ASK_EVERY_S
            return generate_latest(self._registry)

    def _remember(self, known: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        for name, gauge in self._known.items():
            gauge.clear()
            for labels, value in known.get(name, {}).items():
                (gauge.labels(*labels) if labels else gauge).set(value)


KNOWN: dict[str, tuple[str, list[str]]] = {
    "jobs": ("Jobs, by state.", ["state"]),
    "runs": ("Runs that the database knows, by pipeline and status.", ["pipeline", "status"]),
    "stages": ("Stages of runs that were taken in, by stage and status.", ["stage", "status"]),
    "ingest_receipts": ("Manifests that were taken in, by who took them in.", ["consumer"]),
    "database_up": ("Whether the database answers.", []),
}


def request_id_of(request: Request) -> str:
    """The id that came with a request, where it is a good one; else a new one."""
    for name, value in request["headers"]:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if _GOOD_ID.match(given) and redact_text(given) == given:
                return str(given)
    return secrets.token_hex(8)


class AccessLog:
    """One line of JSON for each request. Paths are told without their queries, which hold what
    people look for, and links that let in.

    Written straight, since it is written for every request: what is redacted is what is not ours.
    """

    def tell(self, request: Request, *, status: int, started: float, **facts: str | None) -> None:
        """A request was answered."""
        line = {
            "event": "http.request",
            "level": "info",
            "timestamp": utc_now().isoformat(),
            "method": request["method"],
            "path": redact_text(request["path"][:500]),
            "status": status,
            "ms": round((time.perf_counter() - started) * 1000, 2),
            **facts,
        }
        sys.stderr.write(json.dumps(line) + "\n")


class Spans:
    """OpenTelemetry spans of requests, where they are exported."""

    def __init__(self, *, is_on: bool) -> None:
        self._tracer: Any = None
        self._provider: Any = None
        if is_on:
            from filmgate.tools.opentelemetry_export import tracer_provider  # only where asked for

            self._provider = tracer_provider()
            self._tracer = self._provider.get_tracer("filmgate.http")
            atexit.register(self.close)

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None

    def span(self, request: Request) -> AbstractContextManager[Any]:
        """Around the handling of a request."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.start_as_current_span(  # type: ignore[no-any-return]
            f"{request['method']} {request['path'].strip('/').partition('/')[0]}",
            attributes={"http.request.method": request["method"], "url.path": request["path"]},
        )
