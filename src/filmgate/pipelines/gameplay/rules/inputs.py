"""What was pressed: `inputs.csv` of a session, on the time line of its video."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

KINDS = (
    "other",
    "KEYBOARD",
    "MOUSE_MOVE",
    "MOUSE_BUTTON",
    "SCROLL",
    "GAMEPAD_BUTTON",
    "GAMEPAD_BUTTON_VALUE",
    "GAMEPAD_AXIS",
    "FOCUS",
    "UNFOCUS",
    "START",
    "END",
    "VIDEO_START",
    "VIDEO_END",
    "HOOK_START",
)
"""What a recorder logs. Those it may learn to log later are `other`."""

PRESSED = frozenset(KINDS[1:8])
"""What a player does."""

KEYBOARD, MOUSE_MOVE = KINDS.index("KEYBOARD"), KINDS.index("MOUSE_MOVE")
COLUMNS = 3
"""timestamp, event_type, event_args: split on the first two commas only, since the quotes inside
the last are not doubled."""


class Event(NamedTuple):
    """Something that was logged."""

    time_ms: int
    """From the moment that the video's time 0 is; before it, negative."""
    kind: int
    """Its place in KINDS."""
    first: float
    """The first of its numbers: a key's or button's code, a movement to the right; 0 without."""
    second: float
    """The second: 1 for down and 0 for up, a movement down; 0 without."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What was logged of a session, in order of time."""

    events: tuple[Event, ...] = ()
    bad_lines: int = 0
    """Lines that are none of an input log; they are passed over."""
    is_timed: bool = True
    """Whether the log says when the video began; else its first event is taken for that."""
    pressed: tuple[Event, ...] = field(init=False, repr=False, compare=False)
    """What the player did."""

    def __post_init__(self) -> None:
        did = tuple(each for each in self.events if KINDS[each.kind] in PRESSED)
        object.__setattr__(self, "pressed", did)


def parse(data: bytes) -> Inputs:
    """The events of an `inputs.csv`."""
    bad = 0
    rows: list[tuple[float, int, float, float]] = []
    for line in data.decode("utf-8", "replace").splitlines():
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif line.strip() and not line.startswith("timestamp,"):
            bad += 1
    starts = [row[0] for row in rows if row[1] == KINDS.index("VIDEO_START")]
    origin = starts[0] if starts else min((row[0] for row in rows), default=0.0)
    events = (
        Event(round((at - origin) * 1000), kind, first, second) for at, kind, first, second in rows
    )
    return Inputs(events=tuple(sorted(events, key=_time)), bad_lines=bad, is_timed=bool(starts))


def _time(event: Event) -> int:
    return event.time_ms


def _row(line: str) -> tuple[float, int, float, float] | None:
    parts = line.split(",", COLUMNS - 1)
    if len(parts) < COLUMNS:
        return None
    try:
        at = float(parts[0])
    except ValueError:
        return None
    if not 0 <= at < 1e11:  # noqa: PLR2004 - seconds since 1970, of this era; no NaN
        return None
    kind = _PLACES.get(parts[1], 0)
    first, second = _numbers(parts[2]) if KINDS[kind] in PRESSED else (0.0, 0.0)
    return at, kind, first, second


_PLACES = {kind: place for place, kind in enumerate(KINDS)}


def _numbers(told: str) -> tuple[float, float]:
    """The first two numbers of the arguments; truths count as 1 and 0."""
    try:
        values: Any = json.loads(told.strip().strip('"'))
        plain = values if isinstance(values, list) else []
        bare = [float(each) for each in plain[:2] if isinstance(each, int | float)]
    except (ValueError, OverflowError, RecursionError):
        return (0.0, 0.0)
    small = [each if abs(each) < 1e9 else 0.0 for each in bare]  # noqa: PLR2004 - and no NaN
    return tuple([*small, 0.0, 0.0][:2])  # type: ignore[return-value]


def held(events: Iterable[Event], codes: frozenset[int], end_ms: int) -> Iterator[tuple[int, int]]:
    """When any of these keys was down: (from, to) in ms, apart from each other."""
    down: set[float] = set()
    since = 0
    for event in events:
        if event.kind != KEYBOARD or event.first not in codes:
            continue
        was_down = bool(down)
        (down.add if event.second else down.discard)(event.first)
        if down and not was_down:
            since = event.time_ms
        elif was_down and not down:
            yield since, event.time_ms
    if down:
        yield since, end_ms
