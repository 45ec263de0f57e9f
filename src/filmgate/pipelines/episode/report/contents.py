"""Contents of the report: values for the template, from the files and records of a run."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from filmgate.core.records import ArtifactRef, RunHead, StageRecord
from filmgate.core.states import StageState
from filmgate.media.spans import Span
from filmgate.media.time import short_clock
from filmgate.pipelines.episode.records import Probe
from filmgate.pipelines.episode.rules.screen_presence import PresenceSpan
from filmgate.pipelines.episode.screen_times import PersonTime, ScreenTime

MAX_ROWS = 40
"""Maximum number of rows of a listing; the run's files contain all rows."""

MAX_NAME_LENGTH, MAX_WORD_LENGTH = 36, 12
"""Maximum number of characters of a name before it is cut off, and of a word before it may be
broken."""

NOT_MEASURED = "–"


def format_time(ms: int) -> str:
    """Format a time as `1:02.5` (minutes, seconds, tenths), or `1:00:02.5` from one hour on."""
    return short_clock(ms + 50)


def input_rows(head: RunHead, probe: Probe) -> list[tuple[str, str]]:
    """Describe the input and the run as (label, value) rows."""
    rows = [(name, digest) for name, digest in head.source_sha_map.items()]
    rows += [
        ("size", f"{head.asset.size_bytes:,} bytes"),
        ("container", f"{probe.format}, {format_time(probe.duration_ms)}"),
    ]
    if (video := probe.video) is not None:
        rate = "variable rate" if video.time_base.is_variable_rate else "constant rate"
        rotation = f", rotated by {video.rotation_deg}°" if video.rotation_deg else ""
        rows += [
            (
                "picture",
                f"{video.codec}, {video.display_width} × {video.display_height}{rotation}, "
                f"{video.time_base.frame_count:,} frames, {rate}, "
                f"time base {video.time_base.time_base}",
            ),
            ("timestamps", f"sha256 {video.time_base.pts_sha256}"),
        ]
    if (audio := probe.audio) is not None:
        rows.append(
            ("sound", f"{audio.codec}, {audio.channels} channels, {audio.sample_rate:,} Hz")
        )
    return [*rows, ("profile", head.profile), ("config", head.config_hash), ("run", head.run_id)]


def stage_rows(
    head: RunHead, records: Mapping[str, StageRecord], without: str
) -> list[dict[str, JsonValue]]:
    """Describe every stage except `without`: state, producer, settings, counts and inputs."""
    return [_stage_row(head, name, records.get(name)) for name in head.stages if name != without]


def _stage_row(head: RunHead, name: str, record: StageRecord | None) -> dict[str, JsonValue]:
    config = head.config[name].items()
    settings = "  ".join(f"{key}={_plain(value)}" for key, value in config if key != "enabled")
    row: dict[str, JsonValue] = {"name": name, "config": settings}
    row |= {"counts": "", "producer": "", "depends_on": ""}
    if record is None:
        return row | {"state": StageState.PENDING.value, "note": "has not finished", "warnings": []}
    details: dict[str, JsonValue] = {
        "state": record.status.value,
        "note": record.reason or "",
        "warnings": [str(warning.get("message", "")) for warning in record.warnings],
        "counts": ", ".join(f"{count:,} {name}" for name, count in sorted(record.counts.items())),
    }
    if record.producer is not None:
        weights = record.producer.weights_sha256
        details["producer"] = f"{record.producer.name} {record.producer.version}" + (
            f", weights {weights[:12]}" if weights else ""
        )
    if record.fingerprint is not None and record.status is StageState.SUCCESS:
        files = ", ".join(record.fingerprint.inputs) or "the input"
        details["depends_on"] = f"{files}; fingerprint {record.fingerprint.digest[:19]}"
    return row | details


def shorten(text: str) -> str:
    """Cut off a long name, and insert zero-width spaces where long words may be broken."""
    shortened = text if len(text) <= MAX_NAME_LENGTH else f"{text[: MAX_NAME_LENGTH - 1]}…"
    return " ".join(
        "\u200b".join(
            word[start : start + MAX_WORD_LENGTH] for start in range(0, len(word), MAX_WORD_LENGTH)
        )
        for word in shortened.split()
    )


def _plain(value: object) -> str:
    if value is None:
        return "auto"
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def person_rows(
    times: ScreenTime,
    end_ms: int,
    presences: Mapping[str, Sequence[PresenceSpan]],
    pictures: Mapping[str, str],
) -> list[dict[str, JsonValue]]:
    """Describe all people; spans become fractions of the video, which ends at `end_ms`."""
    return [
        _person_row(person, end_ms, presences.get(person.identity_id, ()), pictures)
        for person in times.people
    ]


def _person_row(
    person: PersonTime, end_ms: int, presences: Iterable[PresenceSpan], pictures: Mapping[str, str]
) -> dict[str, JsonValue]:
    about = person.identity_id if person.name else ""
    if person.unsure:
        about = shorten(f"perhaps {person.unsure[0].name}")
    elif person.is_singleton:
        about = "one track only"
    return {
        "name": shorten(person.name or person.identity_id),
        "about": about,
        "picture": pictures.get(person.identity_id),
        "presences": [
            {**to_share(presence.span, end_ms), "evidence": presence.evidence}
            for presence in presences
        ],
        "onscreen": format_time(person.onscreen_ms),
        "share": f"{person.share:.0%} of the video",
        "face": format_time(person.face_visible_ms),
        "body": format_time(person.body_only_ms),
        "bridged": format_time(person.gap_bridged_ms),
        "speaking": NOT_MEASURED if person.speaking_ms is None else format_time(person.speaking_ms),
        "confessional": NOT_MEASURED
        if person.confessional_ms is None
        else format_time(person.confessional_ms),
        "appearances": person.appearances,
    }


def to_share(span: Span, end_ms: int) -> dict[str, JsonValue]:
    """Return start and length of a span as fractions of the video, which ends at `end_ms`."""
    whole = max(end_ms, 1)
    return {
        "start": round(span.start_ms / whole, 5),
        "width": round(span.duration_ms / whole, 5),
    }


def make_listing(title: str, rows: Iterable[tuple[int, str, str]]) -> dict[str, JsonValue] | None:
    """Format the first rows, each (time in ms, text, note), as a listing; None without rows."""
    all_rows = list(rows)
    if not all_rows:
        return None
    remaining = len(all_rows) - MAX_ROWS
    return {
        "title": title,
        "rows": [[format_time(ms), text, note] for ms, text, note in all_rows[:MAX_ROWS]],
        "note": f"and {remaining} more" if remaining > 0 else "",
    }


def file_rows(records: Iterable[StageRecord]) -> list[dict[str, JsonValue]]:
    """Describe every file of the run, with its digest."""
    return [_file_row(ref) for record in records for ref in record.artifacts]


def _file_row(ref: ArtifactRef) -> dict[str, JsonValue]:
    return {
        "path": ref.path,
        "records": ref.records,
        "size": ref.size_bytes,
        "sha256": f"{ref.sha256[:24]}…",
    }
