"""Export of runs as OpenTelemetry traces: one span per run, with a child span per stage."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from filmgate.core.digest import JsonValue
from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

EXPORT_TIMEOUT_S = 5.0
"""Longest time that the end of a run waits for an unreachable collector, in seconds, unless
OTEL_EXPORTER_OTLP_TIMEOUT is set."""

NS = 1_000_000_000
FAILURE_STATUSES = frozenset({"FAILED", "BLOCKED"})


def tracer_provider(exporter: "SpanExporter | None" = None) -> "TracerProvider":
    """Make a tracer provider, which the caller must shut down.

    Raises Unavailable if OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Unavailable(
            "opentelemetry is not installed",
            expected="the packages of the extra 'opentelemetry'",
            got=str(error),
            hint="pip install 'filmgate[opentelemetry]', or remove it from FILMGATE_EXPORT",
        ) from error
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: "filmgate"}), shutdown_on_exit=False
    )
    has_timeout = bool(os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT"))
    exporter = exporter or OTLPSpanExporter(timeout=None if has_timeout else EXPORT_TIMEOUT_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class SpanExport:
    """An event sink that sends spans.

    The destination is set by the library's own environment variables, such as
    `OTEL_EXPORTER_OTLP_ENDPOINT`; the default is a collector on localhost.
    """

    def __init__(self, exporter: "SpanExporter | None" = None) -> None:
        self._provider = tracer_provider(exporter)
        self._tracer = self._provider.get_tracer("filmgate")
        self._run: Span | None = None
        self._stages: dict[str, Span] = {}

    def __call__(self, event: Mapping[str, JsonValue]) -> None:
        """Start a span, add an event to it, or end it."""
        stage = str(event.get("stage"))
        match event["event"]:
            case "run.started":
                self._run = self._start_span(f"run {event['pipeline']}", None, event)
            case "stage.started":
                self._stages[stage] = self._start_span(stage, self._run, event)
            case "stage.warning" | "item.failed" | "stage.error":
                if (span := self._stages.get(stage)) is not None:
                    span.add_event(str(event["event"]), _attributes(event), timestamp=_ns(event))
            case "stage.ended" | "stage.reused":
                span = self._stages.pop(stage, None)
                span = span or self._start_span(stage, self._run, event)
                self._end_span(span, event, is_failed=event.get("status") in FAILURE_STATUSES)
            case "run.ended":
                if self._run is not None:
                    self._end_span(self._run, event, is_failed=event.get("status") == "FAILED")
                self._provider.shutdown()

    def _start_span(
        self, name: str, parent: "Span | None", event: Mapping[str, JsonValue]
    ) -> "Span":
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(parent) if parent is not None else None
        return self._tracer.start_span(
            name, context=context, attributes=_attributes(event), start_time=_ns(event)
        )

    def _end_span(self, span: "Span", event: Mapping[str, JsonValue], *, is_failed: bool) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attributes(_attributes(event))
        if is_failed:
            span.set_status(Status(StatusCode.ERROR, str(event.get("note") or event["status"])))
        span.end(_ns(event))


def _attributes(event: Mapping[str, JsonValue]) -> dict[str, str | float]:
    """Convert the numbers, strings and flags of an event to attributes named `filmgate.…`."""
    flat: dict[str, JsonValue] = {}
    for key, value in event.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
        else:
            flat[key] = value
    return {
        f"filmgate.{key}": value
        for key, value in flat.items()
        if isinstance(value, str | int | float | bool) and key not in {"at", "event"}
    }


def _ns(event: Mapping[str, JsonValue]) -> int:
    """Return the event's time in nanoseconds since the epoch."""
    time = datetime.fromisoformat(str(event["at"]))
    return int(time.timestamp()) * NS + time.microsecond * 1000
