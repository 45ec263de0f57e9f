"""The journal: reports the progress of a run to its logs, `status.json`, sinks and observer."""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from filmgate.core.digest import JsonObject, JsonValue
from filmgate.core.manifest import Manifest
from filmgate.core.ports import Clock, EventSink, Lease, Observer, RunDirectory
from filmgate.core.records import ItemError, StageRecord
from filmgate.core.redaction import redact, to_json_value
from filmgate.core.states import StageState

EVENT_FIELDS = frozenset({"at", "level", "event", "stage", "pipeline", "asset_id", "run_id"})
"""Names of the fields that every event has."""

HEARTBEAT_S = 0.5
"""Seconds between two writes of `status.json`. A reader may suspect a runner that stops writing."""

METRICS_EVENT = "stage.measured"
METRICS_S = 2.0
"""Minimum number of seconds between two metrics events of a stage."""


class Journal:
    """Reports the progress of one invocation; no decision depends on the reports. Thread-safe."""

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
        self._status: dict[str, dict[str, JsonValue]] = {}
        self._metrics: dict[str, tuple[dict[str, float], dict[str, int]]] = {}
        self._next_metrics_at: dict[str, float] = {}
        self._is_changed = False

    @contextmanager
    def heartbeat(self, lease: Lease) -> Iterator[None]:
        """Keep `status.json` and the manifest current during the block."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run_heartbeat, args=(lease, stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._write_status(lease)

    def log_run_event(self, event: str, **fields: object) -> None:
        """Send an event about the run as a whole to the sinks; no stage's log contains it."""
        base = {"at": self._clock().isoformat(), "level": "info", "event": event}
        self._send(base | redact(to_json_value(fields)))

    def log_start(self, stage: str, attempt: int, inputs: Iterable[str]) -> None:
        """Report that the work of a stage begins on the files `inputs`."""
        self.log_event(stage, "stage.started", attempt=attempt, inputs=list(inputs))
        self._set_status(
            stage, status=StageState.RUNNING.value, attempt=attempt, done=0, total=None
        )
        with self._lock:
            self._observer.stage_started(stage)

    def log_progress(self, stage: str, done: float, total: float | None) -> None:
        """Report progress: at once to the observer, at the next heartbeat to `status.json`."""
        self._status.get(stage, {}).update(done=done, total=total)
        with self._lock:
            self._observer.stage_progress(stage, done, total)

    def log_metrics(
        self, stage: str, gauges: Mapping[str, float], failures: Mapping[str, int]
    ) -> None:
        """Report current measurements to `status.json`, and to the sinks every `METRICS_S`.

        The last values of a stage are sent to the sinks when it ends.
        """
        self._status.get(stage, {}).update(gauges=dict(gauges))
        self._metrics[stage] = (dict(gauges), dict(failures))
        if self._sinks and time.monotonic() >= self._next_metrics_at.get(stage, 0.0):
            self._next_metrics_at[stage] = time.monotonic() + METRICS_S
            self._send_metrics(stage)

    def _send_metrics(self, stage: str) -> None:
        gauges, failures = self._metrics.get(stage, ({}, {}))
        if gauges:
            base = {"at": self._clock().isoformat(), "level": "debug", "event": METRICS_EVENT}
            self._send(base | {"stage": stage, "gauges": gauges, "failures": failures})

    def log_end(
        self, stage: str, state: StageState, note: str, *, reused: bool = False, **fields: object
    ) -> None:
        """Report how a stage ended, in one summary line."""
        self._send_metrics(stage)
        level = "error" if state in {StageState.FAILED, StageState.BLOCKED} else "info"
        event = "stage.reused" if reused else "stage.ended"
        self.log_event(stage, event, level=level, status=state.value, note=note, **fields)
        self._set_status(stage, status=state.value)
        with self._lock:
            self._observer.stage_ended(stage, state, note, reused=reused)

    def log_warning(self, stage: str, warning: JsonObject) -> None:
        """Report a warning of a stage.

        A field whose name is one of `EVENT_FIELDS` gets an underscore at its end.
        """
        fields = {f"{name}_" if name in EVENT_FIELDS else name: warning[name] for name in warning}
        self.log_event(stage, "stage.warning", level="warning", **fields)

    def log_item_error(self, stage: str, error: ItemError) -> None:
        """Report that an item of a stage failed."""
        self.log_event(stage, "item.failed", level="error", **error.model_dump())

    def log_record(self, record: StageRecord, *, warnings: int) -> None:
        """Report that the record of a stage's attempt was committed."""
        counts = ", ".join(f"{count} {name}" for name, count in record.counts.items())
        failure = record.error and record.error.message
        self.log_end(
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

    def log_run_end(self, manifest: Manifest) -> None:
        """Report that the run was closed."""
        self.log_run_event("run.ended", status=manifest.status.value, metrics=manifest.metrics)

    def log_detail(self, stage: str, event: str, **fields: object) -> None:
        """Write one debug line to the stage's log, if the journal is detailed."""
        if self._is_detailed:
            self.log_event(stage, event, level="debug", **fields)

    def log_event(self, stage: str, event: str, *, level: str = "info", **fields: object) -> None:
        """Write one line to the stage's log, and send it to the sinks."""
        now = self._clock().isoformat()
        base = {"at": now, "level": level, "event": event, "stage": stage}
        line = base | redact(to_json_value(fields))
        self._run.log(stage, line)
        self._send(line)

    def _send(self, event: JsonObject) -> None:
        if self._sinks:
            head = self._run.head
            names = {"pipeline": head.pipeline, "asset_id": head.asset.id, "run_id": head.run_id}
            with self._lock:
                for sink in self._sinks:
                    sink({**event, **names})

    def _set_status(self, stage: str, **facts: JsonValue) -> None:
        with self._lock:
            self._status[stage] = facts
            self._is_changed = True

    def _run_heartbeat(self, lease: Lease, stop: threading.Event) -> None:
        while not stop.wait(HEARTBEAT_S):
            self._write_status(lease)
            with suppress(Exception):
                if self._is_changed:
                    self._is_changed = False
                    self._run.fold_manifest(lease)

    def _write_status(self, lease: Lease) -> None:
        with self._lock:
            stages = {name: dict(facts) for name, facts in self._status.items()}
        with suppress(Exception):
            lease.check()
            self._run.write_status(
                {
                    "epoch": lease.epoch,
                    "heartbeat": self._clock().isoformat(),
                    "beat_s": HEARTBEAT_S,
                    "pid": os.getpid(),
                    "stages": stages,
                    "is_derived": True,
                    "derived_from": "the runner; manifest.json contains what is committed",
                }
            )
