"""What stages measure, as a file for Prometheus' textfile collector."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

MEASURED, ENDED, RUN_ENDED = "stage.measured", "stage.ended", "run.ended"
PREFIX = "filmgate_stage_"

HELP = {
    "items_done": "Items that a stage is through with, good or bad.",
    "items_failed": "Items that failed.",
    "items_in_flight": "Items that are begun and not taken yet: the length of the queue.",
    "failures": "Items that failed, by kind.",
    "measured_timestamp_seconds": "When a stage last said anything.",
    "up": "1 while a stage runs.",
}


class PrometheusFile:
    """A sink for events: keeps a file of the latest gauges, replaced whole each time.

    The names of the metrics are `filmgate_stage_` and the names of the gauges; each has the labels
    `pipeline`, `asset_id` and `stage`. A disk that is full or a folder that is gone stops no run.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._gauges: dict[tuple[str, str, str], dict[str, float]] = {}
        self._failures: dict[tuple[str, str, str], dict[str, int]] = {}

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Keep what an event measures, and write it down."""
        kind = event.get("event")
        stage = event.get("stage")
        if kind not in {MEASURED, ENDED} or stage is None:
            return
        place = (str(event["pipeline"]), str(event["asset_id"]), str(stage))
        if kind == ENDED and place not in self._gauges:
            return
        own = self._gauges.setdefault(place, {})
        own.update(event.get("gauges", {}))
        own["up"] = float(kind == MEASURED)
        own["measured_timestamp_seconds"] = datetime.fromisoformat(str(event["at"])).timestamp()
        self._failures.setdefault(place, {}).update(event.get("failures", {}))
        with suppress(OSError):
            self._write()

    def _write(self) -> None:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        draft.write_text("".join(f"{line}\n" for line in self._lines()), encoding="utf-8")
        draft.replace(self._path)

    def _lines(self) -> Iterator[str]:
        for name in sorted({name for gauges in self._gauges.values() for name in gauges}):
            yield f"# HELP {PREFIX}{name} {HELP.get(name, name.replace('_', ' '))}"
            yield f"# TYPE {PREFIX}{name} gauge"
            for place, gauges in sorted(self._gauges.items()):
                if name in gauges:
                    yield f"{PREFIX}{name}{{{_labels(place)}}} {gauges[name]:.15g}"
        if any(self._failures.values()):
            yield f"# HELP {PREFIX}failures {HELP['failures']}"
            yield f"# TYPE {PREFIX}failures gauge"
        for place, failures in sorted(self._failures.items()):
            for code, count in sorted(failures.items()):
                yield f'{PREFIX}failures{{{_labels(place)},code="{_escaped(code)}"}} {count}'


def _labels(place: tuple[str, str, str]) -> str:
    names = ("pipeline", "asset_id", "stage")
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, place, strict=True))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
