"""Runs as OpenTelemetry traces: a span a run, in it a span a stage."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Unavailable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

PATIENCE_S = 5.0
"""How long the end of a run waits for a collector that is away, unless the library's own variable
says otherwise."""

NS = 1_000_000_000
BAD = frozenset({"FAILED", "BLOCKED"})


def tracer_provider(exporter: "SpanExporter | None" = None) -> "TracerProvider":
    """Where spans begin; whoever has it shuts it down. Unavailable where the library is not
    installed."""
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
            hint="pip install 'filmgate[opentelemetry]', or leave it out of FILMGATE_EXPORT",
        ) from error
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: "filmgate"}), shutdown_on_exit=False
    )
    asked = os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    exporter = exporter or OTLPSpanExporter(timeout=None if asked else PATIENCE_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class SpanExport:
    """A sink for events. Where the spans go is set by the library's own variables, such as
    `OTEL_EXPORTER_OTLP_ENDPOINT`; without any, to a collector on this machine."""

    def __init__(self, exporter: "SpanExporter | None" = None) -> None:
        self._provider = tracer_provider(exporter)
        self._tracer = self._provider.get_tracer("filmgate")
        self._run: Span | None = None
        self._stages: dict[str, Span] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Begin, mark or end a span."""
        match event["event"]:
            case "run.started":
                self._run = self._begin(f"run {event['pipeline']}", None, event)
            case "stage.started":
                self._stages[event["stage"]] = self._begin(event["stage"], self._run, event)
            case "stage.warning" | "item.failed" | "stage.error":
                if (span := self._stages.get(event["stage"])) is not None:
                    span.add_event(event["event"], _attributes(event), timestamp=_ns(event))
            case "stage.ended" | "stage.reused":
                span = self._stages.pop(event["stage"], None)
                span = span or self._begin(event["stage"], self._run, event)
                self._end(span, event, is_bad=event.get("status") in BAD)
            case "run.ended":
                if self._run is not None:
                    self._end(self._run, event, is_bad=event.get("status") == "FAILED")
                self._provider.shutdown()

    def _begin(self, name: str, parent: "Span | None", event: Mapping[str, Any]) -> "Span":
        from opentelemetry.trace import set_span_in_context

        context = set_span_in_context(parent) if parent is not None else None
        return self._tracer.start_span(
            name, context=context, attributes=_attributes(event), start_time=_ns(event)
        )

    def _end(self, span: "Span", event: Mapping[str, Any], *, is_bad: bool) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_attributes(_attributes(event))
        if is_bad:
            span.set_status(Status(StatusCode.ERROR, str(event.get("note") or event["status"])))
        span.end(_ns(event))


def _attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event is a number, a word or a flag, under names of our own."""
    flat: dict[str, Any] = {}
    for key, value in event.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": held for name, held in value.items()}
        else:
            flat[key] = value
    return {
        f"filmgate.{key}": value
        for key, value in flat.items()
        if isinstance(value, str | int | float | bool) and key not in {"at", "event"}
    }


def _ns(event: Mapping[str, Any]) -> int:
    moment = datetime.fromisoformat(event["at"])
    return int(moment.timestamp()) * NS + moment.microsecond * 1000
