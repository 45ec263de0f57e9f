"""Export of stage metrics to a file for Prometheus' textfile collector."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from filmgate.core.digest import JsonValue

MEASURED, ENDED = "stage.measured", "stage.ended"
PREFIX = "filmgate_stage_"

MODE = 0o644
"""Permissions of the file: Prometheus' exporter runs as another user and must read the file."""

HELP = {
    "items_done": "Items that a stage has finished, successfully or not.",
    "items_failed": "Items that failed.",
    "items_in_flight": "Items that were started and whose results were not read yet.",
    "failures": "Items that failed, by error code.",
    "measured_timestamp_seconds": "Time of a stage's last measurement.",
    "up": "1 while a stage runs.",
}


class PrometheusFile:
    """An event sink that writes the latest gauges to a file, replaced atomically each time.

    The name of a metric is `filmgate_stage_` followed by the name of the gauge. Its labels are
    `pipeline`, `asset_id` and `stage`. A full disk or a missing folder does not stop a run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._gauges: dict[tuple[str, str, str], dict[str, float]] = {}
        self._failures: dict[tuple[str, str, str], dict[str, float]] = {}

    def __call__(self, event: Mapping[str, JsonValue]) -> None:
        """Store the gauges of an event, and write the file."""
        kind = event.get("event")
        stage = event.get("stage")
        if kind not in {MEASURED, ENDED} or stage is None:
            return
        labels = (str(event["pipeline"]), str(event["asset_id"]), str(stage))
        if kind == ENDED and labels not in self._gauges:
            return
        gauges = self._gauges.setdefault(labels, {})
        gauges.update(_numbers(event.get("gauges")))
        gauges["up"] = float(kind == MEASURED)
        gauges["measured_timestamp_seconds"] = datetime.fromisoformat(str(event["at"])).timestamp()
        self._failures.setdefault(labels, {}).update(_numbers(event.get("failures")))
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        draft.write_text("".join(f"{line}\n" for line in self._lines()), encoding="utf-8")
        draft.chmod(MODE)
        draft.replace(self._path)

    def _lines(self) -> Iterator[str]:
        for name in sorted({name for gauges in self._gauges.values() for name in gauges}):
            yield f"# HELP {PREFIX}{name} {HELP.get(name, name.replace('_', ' '))}"
            yield f"# TYPE {PREFIX}{name} gauge"
            for labels, gauges in sorted(self._gauges.items()):
                if name in gauges:
                    yield f"{PREFIX}{name}{{{_format_labels(labels)}}} {gauges[name]:.15g}"
        if any(self._failures.values()):
            yield f"# HELP {PREFIX}failures {HELP['failures']}"
            yield f"# TYPE {PREFIX}failures gauge"
        for labels, failures in sorted(self._failures.items()):
            for code, count in sorted(failures.items()):
                code_label = f'code="{_escape(code)}"'
                yield f"{PREFIX}failures{{{_format_labels(labels)},{code_label}}} {count}"


def _numbers(value: JsonValue) -> dict[str, float]:
    fields = value if isinstance(value, dict) else {}
    return {name: field for name, field in fields.items() if isinstance(field, int | float)}


def _format_labels(values: tuple[str, str, str]) -> str:
    names = ("pipeline", "asset_id", "stage")
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
