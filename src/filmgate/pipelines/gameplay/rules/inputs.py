"""The input log of a session, `inputs.csv`, on the time line of its video."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import JsonValue

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
"""Kinds of events that a recorder logs; unknown kinds are `other`."""

PLAYER_KINDS = frozenset(KINDS[1:8])
"""Kinds of events that a player causes."""

KEYBOARD = KINDS.index("KEYBOARD")
COLUMNS = 3
"""Number of columns: timestamp, event_type, event_args. Lines are split at the first two commas
only, since the quotes inside the last column are not doubled."""


class InputEvent(NamedTuple):
    """A logged event."""

    time_ms: int
    """Time since the start of the video (see `InputLog.is_timed`); negative before it."""
    kind: int
    """Index in KINDS."""
    first: float
    """First argument: code of a key or button, or movement to the right; 0 if absent."""
    second: float
    """Second argument: 1 for down, 0 for up, or movement down; 0 if absent."""


@dataclass(frozen=True, kw_only=True)
class InputLog:
    """The input log of a session."""

    events: tuple[InputEvent, ...] = ()
    """All events, ordered by time."""
    bad_lines: int = 0
    """Number of lines that are not valid and were skipped."""
    is_timed: bool = True
    """Whether the log has the start time of the video; otherwise time 0 is the first event."""
    pressed: tuple[InputEvent, ...] = field(init=False, repr=False, compare=False)
    """The events caused by the player, ordered by time."""

    def __post_init__(self) -> None:
        player_events = tuple(event for event in self.events if KINDS[event.kind] in PLAYER_KINDS)
        object.__setattr__(self, "pressed", player_events)


def parse_inputs(data: bytes) -> InputLog:
    """Parse an `inputs.csv`; lines that are not valid are counted and skipped."""
    bad_lines = 0
    rows: list[tuple[float, int, float, float]] = []
    for line in data.decode("utf-8", "replace").splitlines():
        row = _parse_line(line)
        if row is not None:
            rows.append(row)
        elif line.strip() and not line.startswith("timestamp,"):
            bad_lines += 1
    starts = [row[0] for row in rows if row[1] == KINDS.index("VIDEO_START")]
    origin = starts[0] if starts else min((row[0] for row in rows), default=0.0)
    events = (
        InputEvent(round((time_s - origin) * 1000), kind, first, second)
        for time_s, kind, first, second in rows
    )
    return InputLog(
        events=tuple(sorted(events, key=lambda event: event.time_ms)),
        bad_lines=bad_lines,
        is_timed=bool(starts),
    )


def _parse_line(line: str) -> tuple[float, int, float, float] | None:
    """Parse a line as (timestamp in s, kind, first, second); None if it is not valid."""
    parts = line.split(",", COLUMNS - 1)
    if len(parts) < COLUMNS:
        return None
    try:
        time_s = float(parts[0])
    except ValueError:
        return None
    if not 0 <= time_s < 1e11:  # noqa: PLR2004 - plausible seconds since 1970; excludes NaN
        return None
    kind = _KIND_INDEX.get(parts[1], 0)
    first, second = _parse_numbers(parts[2]) if KINDS[kind] in PLAYER_KINDS else (0.0, 0.0)
    return time_s, kind, first, second


_KIND_INDEX = {kind: index for index, kind in enumerate(KINDS)}


def _parse_numbers(arguments: str) -> tuple[float, float]:
    """Parse the first two numbers of the arguments; true and false count as 1 and 0."""
    try:
        parsed: JsonValue = json.loads(arguments.strip().strip('"'))
        values = parsed if isinstance(parsed, list) else []
        numbers = [float(value) for value in values[:2] if isinstance(value, int | float)]
    except (ValueError, OverflowError, RecursionError):
        return (0.0, 0.0)
    small = [n if abs(n) < 1e9 else 0.0 for n in numbers]  # noqa: PLR2004 - excludes NaN too
    first, second, *_ = [*small, 0.0, 0.0]
    return first, second


def held_spans(
    events: Iterable[InputEvent], codes: frozenset[int], end_ms: int
) -> Iterator[tuple[int, int]]:
    """Yield the disjoint spans, (from, to) in ms, in which any of the keys `codes` was down."""
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
