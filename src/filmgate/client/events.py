"""Parser of server-sent events (WHATWG HTML, 9.2.6)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from filmgate.core.digest import JsonDict


@dataclass(frozen=True, kw_only=True)
class ServerEvent:
    """An event of a run."""

    kind: str
    """`log`: a log line; `status`: a change of the run's status; `progress`: the progress of its
    stages; `end`: the run has ended."""
    data: JsonDict
    event_id: str | None
    """Position in the logs after this event, from which the stream can be resumed."""


def split_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream; only LF and CRLF end a line."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")


def parse_events(lines: Iterable[str]) -> Iterator[ServerEvent | None]:
    """Yield the events in the lines of a stream, and None for each keep-alive comment."""
    kind, data, event_id = "message", list[str](), None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield ServerEvent(kind=kind, data=json.loads("\n".join(data)), event_id=event_id)
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            event_id = value
        elif name == "":
            yield None
