"""What stands in the report: values made of an episode's files and records, ready to be set."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from filmgate.core.records import ArtifactRef, RunHead, StageRecord
from filmgate.core.screentime import PersonTime, ScreenTime
from filmgate.core.states import StageState
from filmgate.media.spans import Span
from filmgate.pipelines.episode.records import Probe
from filmgate.pipelines.episode.rules.presence import Piece

MOST_ROWS = 40
"""Lines of a listing; the files hold all."""

LONGEST_NAME, LONGEST_WORD = 36, 12
"""Characters."""

NOT_MEASURED = "–"


def clock(ms: int) -> str:
    """`1:02.5`: minutes, seconds and tenths; hours where there are any."""
    tenths = (ms + 50) // 100
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02}.{tenths % 10}"
    return f"{hours}:{minutes:02}:{rest}" if hours else f"{minutes}:{rest}"


def inputs(head: RunHead, probe: Probe) -> list[tuple[str, str]]:
    """The input as it is, and what the run is, line by line."""
    rows = [(name, digest) for name, digest in head.source_sha_map.items()]
    rows += [
        ("size", f"{head.asset.size_bytes:,} bytes"),
        ("container", f"{probe.format}, {clock(probe.duration_ms)}"),
    ]
    if (video := probe.video) is not None:
        rate = "variable rate" if video.time_base.is_variable_rate else "even rate"
        turned = f", turned by {video.rotation_deg}°" if video.rotation_deg else ""
        rows += [
            (
                "picture",
                f"{video.codec}, {video.display_width} × {video.display_height}{turned}, "
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
) -> list[dict[str, Any]]:
    """Every stage but the report's own: how it ended, by whom, with which settings."""
    return [_stage_row(head, name, records.get(name)) for name in head.stages if name != without]


def _stage_row(head: RunHead, name: str, record: StageRecord | None) -> dict[str, Any]:
    config = head.config[name].items()
    settings = "  ".join(f"{key}={_plain(value)}" for key, value in config if key != "enabled")
    row = {"name": name, "config": settings, "counts": "", "producer": "", "stands_on": ""}
    if record is None:
        return row | {"state": StageState.PENDING.value, "note": "has not ended", "warnings": []}
    told = {
        "state": record.status.value,
        "note": record.reason or "",
        "warnings": [str(each.get("message", "")) for each in record.warnings],
        "counts": ", ".join(f"{count:,} {what}" for what, count in sorted(record.counts.items())),
    }
    if record.producer is not None:
        weights = record.producer.weights_sha256
        told["producer"] = f"{record.producer.name} {record.producer.version}" + (
            f", weights {weights[:12]}" if weights else ""
        )
    if record.fingerprint is not None and record.status is StageState.SUCCESS:
        files = ", ".join(record.fingerprint.inputs) or "the input"
        told["stands_on"] = f"{files}; fingerprint {record.fingerprint.digest[:19]}"
    return row | told


def short(text: str) -> str:
    """So much of a name as fits, with places to break a line in it."""
    kept = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
    return " ".join(
        "\u200b".join(word[at : at + LONGEST_WORD] for at in range(0, len(word), LONGEST_WORD))
        for word in kept.split()
    )


def _plain(value: Any) -> str:
    if value is None:
        return "auto"
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)


def person_rows(
    times: ScreenTime,
    end_ms: int,
    pieces: Mapping[str, Sequence[Piece]],
    pictures: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Everybody, with their time line as shares of the film, which ends at `end_ms`."""
    return [
        _person_row(person, end_ms, pieces.get(person.identity_id, ()), pictures)
        for person in times.people
    ]


def _person_row(
    person: PersonTime, end_ms: int, pieces: Iterable[Piece], pictures: Mapping[str, str]
) -> dict[str, Any]:
    about = person.identity_id if person.name else ""
    if person.unsure:
        about = short(f"perhaps {person.unsure[0].name}")
    elif person.is_singleton:
        about = "seen in one track"
    return {
        "name": short(person.name or person.identity_id),
        "about": about,
        "picture": pictures.get(person.identity_id),
        "pieces": [part(each.span, end_ms) | {"evidence": each.evidence} for each in pieces],
        "onscreen": clock(person.onscreen_ms),
        "share": f"{person.share:.0%} of the film",
        "face": clock(person.face_visible_ms),
        "body": clock(person.body_only_ms),
        "bridged": clock(person.gap_bridged_ms),
        "speaking": NOT_MEASURED if person.speaking_ms is None else clock(person.speaking_ms),
        "confessional": NOT_MEASURED
        if person.confessional_ms is None
        else clock(person.confessional_ms),
        "appearances": person.appearances,
    }


def part(span: Span, end_ms: int) -> dict[str, Any]:
    """A span as shares of the film from 0 to its end."""
    whole = max(end_ms, 1)
    return {
        "start": round(span.start_ms / whole, 5),
        "width": round(span.duration_ms / whole, 5),
    }


def listing(title: str, rows: Iterable[tuple[int, str, str]]) -> dict[str, Any] | None:
    """The first lines of something in order of time; None where there are none."""
    known = list(rows)
    if not known:
        return None
    left = len(known) - MOST_ROWS
    return {
        "title": title,
        "rows": [(clock(ms), text, note) for ms, text, note in known[:MOST_ROWS]],
        "note": f"and {left} more" if left > 0 else "",
    }


def file_rows(records: Iterable[StageRecord]) -> list[dict[str, Any]]:
    """Every file that was made, with its digest."""
    return [_file_row(ref) for record in records for ref in record.artifacts]


def _file_row(ref: ArtifactRef) -> dict[str, Any]:
    return {
        "path": ref.path,
        "records": ref.records,
        "size": ref.size_bytes,
        "sha256": f"{ref.sha256[:24]}…",
    }
