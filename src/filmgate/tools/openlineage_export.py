"""Export of runs as OpenLineage events: one job per stage, with its input and output files."""

from collections.abc import Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

import structlog

from filmgate.core.digest import JsonValue
from filmgate.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.generated.base import RunFacet

NAMESPACE = "filmgate"
PRODUCER = "https://filmgate.invalid/engine"
"""Producer URI, which the standard requires; `.invalid` never resolves (RFC 2606)."""

FLUSH_TIMEOUT_S = 5.0
"""Longest time that the end of a run waits for the last events to be sent, in seconds."""

EVENT_TYPE_OF_STATUS = {
    "SUCCESS": "COMPLETE",
    "SKIPPED": "COMPLETE",
    "INCOMPLETE": "OTHER",
    "FAILED": "FAIL",
    "BLOCKED": "ABORT",
}


class LineageExport:
    """An event sink that sends OpenLineage events.

    The destination is set by the library's own environment variables, such as `OPENLINEAGE_URL`, or
    by its configuration file.
    """

    def __init__(self, client: "OpenLineageClient | None" = None) -> None:
        try:
            from openlineage.client import OpenLineageClient
        except ImportError as error:
            raise Unavailable(
                "openlineage-python is not installed",
                expected="the packages of the extra 'openlineage'",
                got=str(error),
                hint="pip install 'filmgate[openlineage]', or remove it from FILMGATE_EXPORT",
            ) from error
        try:
            self._client = client or OpenLineageClient()
        except Exception as error:
            raise Invalid(
                "OpenLineage cannot be set up",
                expected="environment variables or a configuration file that the library accepts",
                got=f"{type(error).__name__}: {error}",
                hint="Correct OPENLINEAGE_URL, another OPENLINEAGE_* variable, or FILMGATE_EXPORT",
            ) from error
        self._queue: SimpleQueue[RunEvent | None] = SimpleQueue()
        self._sender = Thread(target=self._send_queued, daemon=True)
        self._sender.start()

    def __call__(self, event: Mapping[str, JsonValue]) -> None:
        """Queue an event for the start or the end of a run or a stage; the run does not wait."""
        match event["event"]:
            case "run.started" | "stage.started":
                kind = "START"
            case "run.ended" | "stage.ended":
                kind = EVENT_TYPE_OF_STATUS[str(event["status"])]
            case _:
                return
        self._queue.put(_lineage_event(event, kind))
        if event["event"] == "run.ended":
            self._queue.put(None)
            self._sender.join(FLUSH_TIMEOUT_S)

    def _send_queued(self) -> None:
        """Send queued events until the end of the run.

        After the first failure, log it once and stop sending.
        """
        while (event := self._queue.get()) is not None:
            try:
                self._client.emit(event)
            except Exception as error:  # noqa: BLE001 - a failed export must not fail the run
                structlog.get_logger().warning("openlineage.failed", error=str(error))
                return
        self._client.close()


def _lineage_event(event: Mapping[str, JsonValue], kind: str) -> "RunEvent":
    from openlineage.client.event_v2 import (
        InputDataset,
        Job,
        OutputDataset,
        Run,
        RunEvent,
        RunState,
    )
    from openlineage.client.facet_v2 import parent_run

    run = f"{event['asset_id']}/{event['run_id']}"
    pipeline, stage = str(event["pipeline"]), event.get("stage")
    facets: dict[str, RunFacet] = {}
    if stage is not None:
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=_uuid(run)),
            job=parent_run.Job(namespace=NAMESPACE, name=pipeline),
        )
    name = f"{pipeline}.{stage}" if stage else pipeline
    key = f"{run}/{stage}/{event.get('attempt')}" if stage else run
    return RunEvent(
        eventType=RunState[kind],
        eventTime=str(event["at"]),
        run=Run(runId=_uuid(key), facets=facets),
        job=Job(namespace=NAMESPACE, name=name),
        producer=PRODUCER,
        inputs=[
            InputDataset(namespace=NAMESPACE, name=f"{run}/{path}")
            for path in _paths(event.get("inputs"))
        ],
        outputs=[
            OutputDataset(namespace=NAMESPACE, name=f"{run}/{path}")
            for path in _paths(event.get("artifacts"))
        ],
    )


def _paths(value: JsonValue) -> list[str]:
    return [str(path) for path in value] if isinstance(value, list) else []


def _uuid(key: str) -> str:
    """Derive a UUID, as the standard requires, from the id of a run or attempt."""
    return str(uuid5(NAMESPACE_URL, f"filmgate:{key}"))
