"""Runs as OpenLineage events: a job a stage, with the files that it read and made."""

from collections.abc import Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import structlog

from filmgate.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

NAMESPACE = "filmgate"
PRODUCER = "https://filmgate.invalid/engine"
"""The standard wants an address; this one leads nowhere."""

PATIENCE_S = 5.0
"""How long the end of a run waits for the last events to leave."""

ENDS = {
    "SUCCESS": "COMPLETE",
    "SKIPPED": "COMPLETE",
    "INCOMPLETE": "OTHER",
    "FAILED": "FAIL",
    "BLOCKED": "ABORT",
}


class LineageExport:
    """A sink for events. Where they go is set by the library's own variables, such as
    `OPENLINEAGE_URL`, or its configuration file."""

    def __init__(self, client: "OpenLineageClient | None" = None) -> None:
        try:
            from openlineage.client import OpenLineageClient
        except ImportError as error:
            raise Unavailable(
                "openlineage-python is not installed",
                expected="the packages of the extra 'openlineage'",
                got=str(error),
                hint="pip install 'filmgate[openlineage]', or leave it out of FILMGATE_EXPORT",
            ) from error
        try:
            self._client = client or OpenLineageClient()
        except Exception as error:
            raise Invalid(
                "OpenLineage cannot be set up",
                expected="variables or a configuration file that its library takes",
                got=f"{type(error).__name__}: {error}",
                hint="Mend OPENLINEAGE_URL and the like, or FILMGATE_EXPORT",
            ) from error
        self._waiting: SimpleQueue[RunEvent | None] = SimpleQueue()
        self._teller = Thread(target=self._tell, daemon=True)
        self._teller.start()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Tell of the start or the end of a run or a stage, without keeping the run waiting."""
        match event["event"]:
            case "run.started" | "stage.started":
                kind = "START"
            case "run.ended" | "stage.ended":
                kind = ENDS[event["status"]]
            case _:
                return
        self._waiting.put(_lineage_event(event, kind))
        if event["event"] == "run.ended":
            self._waiting.put(None)
            self._teller.join(PATIENCE_S)

    def _tell(self) -> None:
        """Send what waits; a server that is away is logged once, and left alone."""
        while (event := self._waiting.get()) is not None:
            try:
                self._client.emit(event)
            except Exception as error:  # noqa: BLE001 - telling others must not fail the run
                structlog.get_logger().warning("openlineage.failed", error=str(error))
                return
        self._client.close()


def _lineage_event(event: Mapping[str, Any], kind: str) -> "RunEvent":
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
    stage = event.get("stage")
    facets: dict[str, Any] = {}
    if stage is not None:
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=_uuid(run)),
            job=parent_run.Job(namespace=NAMESPACE, name=event["pipeline"]),
        )
    name = f"{event['pipeline']}.{stage}" if stage else event["pipeline"]
    key = f"{run}/{stage}/{event.get('attempt')}" if stage else run
    return RunEvent(
        eventType=RunState[kind],
        eventTime=event["at"],
        run=Run(runId=_uuid(key), facets=facets),
        job=Job(namespace=NAMESPACE, name=name),
        producer=PRODUCER,
        inputs=[
            InputDataset(namespace=NAMESPACE, name=f"{run}/{path}")
            for path in event.get("inputs", ())
        ],
        outputs=[
            OutputDataset(namespace=NAMESPACE, name=f"{run}/{path}")
            for path in event.get("artifacts", ())
        ],
    )


def _uuid(key: str) -> str:
    """The same for the same run or attempt, as the standard's ids must be UUIDs."""
    return str(uuid5(NAMESPACE_URL, f"filmgate:{key}"))
