"""Exports of a run's events to OpenTelemetry, OpenLineage and Prometheus."""

from pathlib import Path

from filmgate.core.errors import Invalid
from filmgate.core.ports import EventSink
from filmgate.tools.openlineage_export import LineageExport
from filmgate.tools.opentelemetry_export import SpanExport, tracer_provider
from filmgate.tools.prometheus_file import PrometheusFile

__all__ = ["NAMES", "create_sinks", "tracer_provider"]

NAMES = ("openlineage", "opentelemetry")


def create_sinks(names: str, metrics_file: Path | None = None) -> tuple[EventSink, ...]:
    """Create an event sink for each comma-separated name, and one for the metrics file.

    Raises Invalid for an unknown name, and Unavailable if the library of a sink is not installed.
    """
    named = tuple(_create_sink(name.strip()) for name in names.split(",") if name.strip())
    if metrics_file is None:
        return named
    return (*named, PrometheusFile(metrics_file))


def _create_sink(name: str) -> EventSink:
    match name:
        case "opentelemetry":
            return SpanExport()
        case "openlineage":
            return LineageExport()
        case _:
            raise Invalid(
                f"export {name!r} is unknown",
                expected=f"one of {', '.join(NAMES)}",
                got=repr(name),
                hint="Correct FILMGATE_EXPORT",
            )
