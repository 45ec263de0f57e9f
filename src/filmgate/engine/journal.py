"""The journal: what a run says while it goes, to its logs, its live view and an observer."""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from filmgate.core.manifest import Manifest
from filmgate.core.ports import Clock, EventSink, Lease, Observer, RunDirectory
from filmgate.core.records import StageRecord
from filmgate.core.redaction import redact, storable
from filmgate.core.states import StageState

OURS = frozenset({"at", "level", "event", "stage", "pipeline", "asset_id", "run_id"})
"""Fields that every event has."""

BEAT_S = 0.5
"""How often the live view is written. Whoever hears nothing for long may suspect the runner."""


MEASURED = "stage.measured"
MEASURE_S = 2.0
"""How often sinks are told what is measured."""


class Unwatched:
    """The port `Observer`, where nobody looks on."""

    def stage_started(self, stage: str) -> None:
        """Nothing to do."""

    def stage_progress(self, stage: str, done: float, total: float | None) -> None:
        """Nothing to do."""

    def stage_ended(self, stage: str, state: StageState, note: str, *, reused: bool) -> None:
        """Nothing to do."""


class Journal:
    """Tells of one invocation. Advisory: nothing in it decides anything. Any thread may tell."""

    def __init__(
        self,
        run: RunDirectory,
        observer: Observer,
        clock: Clock,
        *,
        sinks: Iterable[EventSink] = (),
        is_detailed: bool = False,
    ) -> None:
        self._run = run
        self._observer = observer
        self._clock = clock
        self._sinks = tuple(sinks)
        self._is_detailed = is_detailed
        self._lock = threading.Lock()
        self._live: dict[str, dict[str, Any]] = {}
        self._gauges: dict[str, tuple[dict[str, float], dict[str, int]]] = {}
        self._next_measure: dict[str, float] = {}
        self._is_changed = False

    @contextmanager
    def telling(self, lease: Lease) -> Iterator[None]:
        """Keep the live view and the manifest fresh while the block lasts."""
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(lease, ended), daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()
            self._show(lease)

    def run_event(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Something about the run as a whole: for the sinks, since it is no stage's."""
        about = {"at": self._clock().isoformat(), "level": level, "event": event}
        self._sink(about | redact(storable(fields)))

    def started(self, stage: str, attempt: int, inputs: Iterable[str]) -> None:
        """The work of a stage begins, on these files."""
        self.event(stage, "stage.started", attempt=attempt, inputs=list(inputs))
        self._note(stage, status=StageState.RUNNING.value, attempt=attempt, done=0, total=None)
        with self._lock:
            self._observer.stage_started(stage)

    def progress(self, stage: str, done: float, total: float | None) -> None:
        """The work is so far; passed on at once, written at the next beat."""
        self._live.get(stage, {}).update(done=done, total=total)
        with self._lock:
            self._observer.stage_progress(stage, done, total)

    def measured(
        self, stage: str, gauges: Mapping[str, float], failures: Mapping[str, int]
    ) -> None:
        """What is measured now: in the live view, and for the sinks, no more often than it beats
        (the last values of a stage are told when it ends)."""
        self._live.get(stage, {}).update(gauges=dict(gauges))
        self._gauges[stage] = (dict(gauges), dict(failures))
        if self._sinks and time.monotonic() >= self._next_measure.get(stage, 0.0):
            self._next_measure[stage] = time.monotonic() + MEASURE_S
            self._tell_measures(stage)

    def _tell_measures(self, stage: str) -> None:
        gauges, failures = self._gauges.get(stage, ({}, {}))
        if gauges:
            about = {"at": self._clock().isoformat(), "level": "debug", "event": MEASURED}
            self._sink(about | {"stage": stage, "gauges": gauges, "failures": failures})

    def ended(
        self, stage: str, state: StageState, note: str, *, reused: bool = False, **fields: Any
    ) -> None:
        """One summary line a stage."""
        self._tell_measures(stage)
        level = "error" if state in {StageState.FAILED, StageState.BLOCKED} else "info"
        event = "stage.reused" if reused else "stage.ended"
        self.event(stage, event, level=level, status=state.value, note=note, **fields)
        self._note(stage, status=state.value)
        with self._lock:
            self._observer.stage_ended(stage, state, note, reused=reused)

    def warned(self, stage: str, warning: Mapping[str, Any]) -> None:
        """The stage wants something known. What it calls as events call theirs gets an `_`."""
        fields = {f"{name}_" if name in OURS else name: held for name, held in warning.items()}
        self.event(stage, "stage.warning", level="warning", **fields)

    def recorded(self, record: StageRecord, *, warnings: int) -> None:
        """A stage's attempt has its record."""
        counts = ", ".join(f"{count} {name}" for name, count in record.counts.items())
        failure = record.error and record.error.message
        self.ended(
            record.stage,
            record.status,
            failure or record.reason or counts,
            code=record.error and record.error.code,
            attempt=record.attempt,
            duration_s=record.duration_s,
            counts=record.counts,
            warnings=warnings,
            artifacts=[ref.path for ref in record.artifacts],
        )

    def run_ended(self, manifest: Manifest) -> None:
        """The run is let go."""
        self.run_event("run.ended", status=manifest.status.value, metrics=manifest.metrics)

    def detail(self, stage: str, event: str, **fields: Any) -> None:
        """One line of the stage's log, where details are wanted."""
        if self._is_detailed:
            self.event(stage, event, level="debug", **fields)

    def event(self, stage: str, event: str, *, level: str = "info", **fields: Any) -> None:
        """One line of the stage's log."""
        moment = self._clock().isoformat()
        about = {"at": moment, "level": level, "event": event, "stage": stage}
        told = about | redact(storable(fields))
        self._run.log(stage, told)
        self._sink(told)

    def _sink(self, event: Mapping[str, Any]) -> None:
        if self._sinks:
            head = self._run.head
            names = {"pipeline": head.pipeline, "asset_id": head.asset.id, "run_id": head.run_id}
            with self._lock:
                for sink in self._sinks:
                    sink({**event, **names})

    def _note(self, stage: str, **facts: Any) -> None:
        with self._lock:
            self._live[stage] = facts
            self._is_changed = True

    def _beat(self, lease: Lease, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S):
            self._show(lease)
            with suppress(Exception):
                if self._is_changed:
                    self._is_changed = False
                    self._run.refold(lease)

    def _show(self, lease: Lease) -> None:
        with self._lock:
            stages = {name: dict(facts) for name, facts in self._live.items()}
        with suppress(Exception):
            lease.check()
            self._run.show(
                {
                    "epoch": lease.epoch,
                    "heartbeat": self._clock().isoformat(),
                    "beat_s": BEAT_S,
                    "pid": os.getpid(),
                    "stages": stages,
                    "is_derived": True,
                    "derived_from": "the runner's last word; manifest.json holds what is committed",
                }
            )
