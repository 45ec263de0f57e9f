"""Runs of older layouts, which Filmgate reads but never writes.

    manifests/{asset}/runs/{phase}.json                 one marker per phase, of the only run
    manifests/{asset}/runs/{run_id}/{phase}.json        one marker per phase, of one run
    manifests/{asset}/episode_status.json               the states of all stages, of the only run
    manifests/{asset}/runs/{run_id}/episode_status.json   the states of all stages, of one run

A marker is an object with a `status`, and may have `started_at`, `finished_at` (or `ended_at`),
`error` and counts. `episode_status.json` has such objects, or only the status as text, by stage
name under `stages`. None of this was ever verified.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from filmgate.core.legacy import LegacyRun, LegacyStage, parse_status_word
from filmgate.core.moments import parse_moment
from filmgate.store.lease import INFO_NAME
from filmgate.store.run_directory import COMMITS, HEAD, MANIFEST, STATUS, VERDICTS

STATUS_FILE = "episode_status.json"
RUN_FILES = frozenset({HEAD, MANIFEST, STATUS, VERDICTS, INFO_NAME})
"""JSON files of a run of the current layout; they are not markers."""

MAX_BYTES = 1 << 20
"""Maximum size of a marker, in bytes; a larger file is not a marker."""


def legacy_runs(
    root: Path, names: Mapping[str, str], *, pipeline: str = "unknown"
) -> Iterator[LegacyRun]:
    """Yield every run under `root` that exists only in an older layout, by asset and run.

    `names`: current stage names by the names in markers; other names are not changed. `pipeline`:
    the pipeline that made all of them.
    """
    for asset in sorted(_folders(root / "manifests")):
        runs = asset / "runs"
        only_run = _stages([asset / STATUS_FILE, *_markers(runs)], names)
        if only_run:
            yield LegacyRun(
                asset_id=asset.name,
                run_id=None,
                folder=str(asset),
                pipeline=pipeline,
                stages=only_run,
            )
        for folder in sorted(_folders(runs)):
            if (folder / HEAD).exists() or (folder / COMMITS).exists():
                continue
            stages = _stages([folder / STATUS_FILE, *_markers(folder)], names)
            if stages:
                yield LegacyRun(
                    asset_id=asset.name,
                    run_id=folder.name,
                    folder=str(folder),
                    pipeline=pipeline,
                    stages=stages,
                )


def _stages(paths: Iterable[Path], names: Mapping[str, str]) -> dict[str, LegacyStage]:
    """State of each stage according to the files; a later file overrides an earlier one."""
    found: dict[str, LegacyStage] = {}
    for path in paths:
        contents = _read(path)
        if path.name == STATUS_FILE:
            stages = contents.get("stages")
            entries = stages if isinstance(stages, dict) else {}
        else:
            entries = {path.stem: contents} if "status" in contents else {}
        for name, entry in entries.items():
            stage = _stage(entry, path)
            if stage is not None:
                found[names.get(name, name)] = stage
    return found


def _stage(entry: JsonValue, path: Path) -> LegacyStage | None:
    facts = entry if isinstance(entry, dict) else {"status": entry}
    state = parse_status_word(facts.get("status"))
    if state is None:
        return None
    return LegacyStage(
        status=state,
        started=parse_moment(facts.get("started_at") or facts.get("started")),
        ended=parse_moment(
            facts.get("finished_at") or facts.get("ended_at") or facts.get("completed_at")
        ),
        error=str(facts["error"]) if facts.get("error") else None,
        derived_from=path.name,
    )


def _read(path: Path) -> dict[str, JsonValue]:
    """Read a JSON object from a file; empty if the file is too large or is not a JSON object."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _markers(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.glob("*.json") if p.name not in RUN_FILES | {STATUS_FILE})


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError:
        return []
