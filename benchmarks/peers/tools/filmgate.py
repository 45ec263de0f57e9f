"""Filmgate, as it refuses and as it repairs."""

import json

from peers.peer import Form, Peer, files
from peers.place import Place

RUN = ["python", "-m", "peers.filmgate_side"]


def decode(data: bytes) -> list[int]:
    """A document's numbers."""
    numbers: list[int] = json.loads(data)["numbers"]
    return numbers


def encode(numbers: list[int], document: bytes) -> bytes:
    """A document as Filmgate writes it."""
    return json.dumps({"numbers": numbers}, separators=(",", ":")).encode() + b"\n"


DOCUMENT = Form(decode=decode, encode=encode)


def prepare(place: Place) -> None:
    """An input."""
    (place.folder / "source").write_text("x")


def make(name: str, how: str, *words: str, is_timed: bool) -> Peer:
    """Filmgate with some words on its command line."""
    return Peer(
        name=name,
        distribution="filmgate",
        how=how,
        prepare=prepare,
        run=lambda place: [*RUN, *words],
        run_from=lambda place, step: [*RUN, *words, "--from", str(step)],
        from_told="only the stages from `s3` on are asked for",
        stored=lambda place: files(place, "home/manifests/*/runs/*/n*.json"),
        final=lambda place: next(
            iter(files(place, f"home/manifests/*/runs/*/n{place.last}.json")), None
        ),
        form=DOCUMENT,
        final_form=DOCUMENT,
        halts_at=r"n\d+\.json",
        is_timed=is_timed,
    )


PEER = make(
    "Filmgate",
    "A stage a step, each with a JSON document, by a script that calls the engine.",
    is_timed=True,
)
REPAIR = make(
    "Filmgate --repair",
    "The same, asked to repair.",
    "--repair",
    is_timed=False,
)
