"""Filmgate, without and with `--repair`."""

import json

from peers.peer import Codec, Peer, find_files
from peers.workspace import Workspace

RUN = ["python", "-m", "peers.filmgate_runner"]


def decode(data: bytes) -> list[int]:
    """Read the numbers of a document."""
    numbers: list[int] = json.loads(data)["numbers"]
    return numbers


def encode(numbers: list[int], document: bytes) -> bytes:
    """Encode a document as Filmgate writes it."""
    return json.dumps({"numbers": numbers}, separators=(",", ":")).encode() + b"\n"


DOCUMENT = Codec(decode=decode, encode=encode)


def prepare(workspace: Workspace) -> None:
    """Write the source file of the run."""
    (workspace.folder / "source").write_text("x")


def make_peer(name: str, how: str, *options: str, is_timed: bool) -> Peer:
    """Describe Filmgate with these options on the command line."""
    return Peer(
        name=name,
        distribution="filmgate",
        how=how,
        prepare=prepare,
        run=lambda workspace: [*RUN, *options],
        run_from=lambda workspace, step: [*RUN, *options, "--from", str(step)],
        run_from_note="only the stages from `s3` on are selected",
        stored_files=lambda workspace: find_files(workspace, "home/manifests/*/runs/*/n*.json"),
        result_file=lambda workspace: next(
            iter(find_files(workspace, f"home/manifests/*/runs/*/n{workspace.last}.json")), None
        ),
        codec=DOCUMENT,
        result_codec=DOCUMENT,
        halt_pattern=r"n\d+\.json",
        is_timed=is_timed,
    )


PEER = make_peer(
    "Filmgate",
    "One stage per step, each with a JSON document, by a script that calls the engine.",
    is_timed=True,
)
REPAIR = make_peer(
    "Filmgate --repair",
    "The same with `--repair`.",
    "--repair",
    is_timed=False,
)
