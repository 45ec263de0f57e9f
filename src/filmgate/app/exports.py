"""Exports: who else hears of a run's events."""

from pathlib import Path

from filmgate.core.errors import Invalid
from filmgate.core.ports import EventSink

KNOWN = ("openlineage", "opentelemetry")


def sinks(names: str, metrics_file: Path | None = None) -> tuple[EventSink, ...]:
    """A sink for each name, by comma, and one for the file of metrics; Invalid for an unknown
    name, Unavailable where its library is not installed."""
    named = tuple(_sink(name.strip()) for name in names.split(",") if name.strip())
    if metrics_file is None:
        return named
    from filmgate.tools.prometheus_file import PrometheusFile  # only where asked for

    return (*named, PrometheusFile(metrics_file))


def _sink(name: str) -> EventSink:
    match name:
        case "opentelemetry":
            from filmgate.tools.opentelemetry_export import SpanExport  # heavy

            return SpanExport()
        case "openlineage":
            from filmgate.tools.openlineage_export import LineageExport  # heavy

            return LineageExport()
        case _:
            raise Invalid(
                f"runs cannot be exported to {name!r}",
                expected=f"one of {', '.join(KNOWN)}",
                got=repr(name),
                hint="Mend FILMGATE_EXPORT",
            )
