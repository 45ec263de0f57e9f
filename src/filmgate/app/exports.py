"""Exports: who else hears of a run's events."""

from filmgate.core.errors import Invalid
from filmgate.core.ports import EventSink

KNOWN = ("openlineage", "opentelemetry")


def sinks(names: str) -> tuple[EventSink, ...]:
    """A sink for each name, by comma; Invalid for an unknown one, Unavailable where its library
    is not installed."""
    return tuple(_sink(name.strip()) for name in names.split(",") if name.strip())


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
