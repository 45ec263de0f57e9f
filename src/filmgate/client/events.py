"""Server-sent events, as they are read off a response (WHATWG HTML, 9.2.6)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a run."""

    kind: str
    """`log`: a line of its logs; `status`: it stands otherwise; `progress`: how far stages are;
    `end`: it is over."""
    data: dict[str, Any]
    event_id: str | None
    """Where one stands in its logs after this; where to go on from."""


def lines_of(pieces: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream, which end where the standard says, and at no other sign."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def read_events(lines: Iterable[str]) -> Iterator[Event | None]:
    """The events in the lines of a stream; None where it only says that it is still there."""
    kind, data, event_id = "message", list[str](), None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield Event(kind=kind, data=json.loads("\n".join(data)), event_id=event_id)
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif name == "":
            yield None
