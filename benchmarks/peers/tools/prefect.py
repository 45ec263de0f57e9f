"""Prefect."""

import json

from peers.peer import Codec, Peer, find_files
from peers.workspace import PEERS

RUN = ["python", "-m", "peers.workloads.prefect_chain"]


def _decode(data: bytes) -> list[int]:
    found: list[int] = json.loads(json.loads(data)["result"])
    return found


def _encode(numbers: list[int], record: bytes) -> bytes:
    return json.dumps(json.loads(record) | {"result": json.dumps(numbers)}).encode()


PEER = Peer(
    name="Prefect",
    requirements=("prefect", "fastapi<0.150"),
    distribution="prefect",
    how="One `@task` per step, `cache_policy=INPUTS`, results persisted as JSON in local storage, "
    "the temporary server that it starts by itself; the script writes what the flow returns. "
    "FastAPI is held below 0.150: with 0.165, which pip chooses, Prefect 3.8.8 does not start.",
    environment={
        "PREFECT_HOME": str(PEERS / "home" / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": "results",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    },
    run=lambda workspace: RUN,
    run_from=lambda workspace, step: [*RUN, str(step)],
    run_from_note="`refresh_cache=True` on the tasks from step k on",
    stored_files=lambda workspace: find_files(workspace, "results/*"),
    result_file=lambda workspace: workspace.folder / "final.json",
    codec=Codec(decode=_decode, encode=_encode),
    halt_pattern=r"results/",
)
