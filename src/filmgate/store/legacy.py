"""Runs of older layouts, read and never written.

    manifests/{asset}/runs/{phase}.json                 a marker a phase, of the asset's only run
    manifests/{asset}/runs/{run_id}/{phase}.json        … of one run
    manifests/{asset}/episode_status.json               the states of all stages in one file,
    manifests/{asset}/runs/{run_id}/episode_status.json   of the asset or of one run

A marker is an object with a `status`, and may have `started_at`, `finished_at` (or `ended_at`),
`error` and counts. In `episode_status.json` such objects, or bare words, stand by stage name
under `stages`. Nothing in them was ever verified.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filmgate.core.legacy import LegacyRun, LegacyStage, state_of_word
from filmgate.core.moments import moment
from filmgate.store.lease import INFO_NAME
from filmgate.store.run_directory import COMMITS, HEAD, MANIFEST, STATUS, VERDICTS

STATUS_FILE = "episode_status.json"
OURS = frozenset({HEAD, MANIFEST, STATUS, VERDICTS, INFO_NAME})
MAX_BYTES = 1 << 20
"""A marker is small; a larger file is something else."""


def legacy_runs(root: Path, names: Mapping[str, str]) -> Iterator[LegacyRun]:
    """Every run under `root` that only an older layout tells of, by asset and run.

    `names`: today's stage name by the name that markers may give it; others stay as they are.
    """
    for asset in sorted(_folders(root / "manifests")):
        runs = asset / "runs"
        flat = _stages([asset / STATUS_FILE, *_markers(runs)], names)
        if flat:
            yield LegacyRun(asset_id=asset.name, run_id=None, folder=str(asset), stages=flat)
        for folder in sorted(_folders(runs)):
            if (folder / HEAD).exists() or (folder / COMMITS).exists():
                continue
            stages = _stages([folder / STATUS_FILE, *_markers(folder)], names)
            if stages:
                yield LegacyRun(
                    asset_id=asset.name, run_id=folder.name, folder=str(folder), stages=stages
                )


def _stages(paths: Iterable[Path], names: Mapping[str, str]) -> dict[str, LegacyStage]:
    """What the files say of each stage; a marker of its own outweighs the common file."""
    found: dict[str, LegacyStage] = {}
    for path in paths:
        said = _read(path)
        if path.name == STATUS_FILE:
            stages = said.get("stages")
            entries = stages if isinstance(stages, dict) else {}
        else:
            entries = {path.stem: said} if "status" in said else {}
        for name, entry in entries.items():
            stage = _stage(entry, path)
            if stage is not None:
                found[names.get(name, name)] = stage
    return found


def _stage(entry: Any, path: Path) -> LegacyStage | None:
    facts = entry if isinstance(entry, dict) else {"status": entry}
    state = state_of_word(facts.get("status"))
    if state is None:
        return None
    return LegacyStage(
        status=state,
        started=moment(facts.get("started_at") or facts.get("started")),
        ended=moment(
            facts.get("finished_at") or facts.get("ended_at") or facts.get("completed_at")
        ),
        error=str(facts["error"]) if facts.get("error") else None,
        derived_from=path.name,
    )


def _read(path: Path) -> dict[str, Any]:
    """A small JSON object; nothing where the file is none."""
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
    return sorted(p for p in folder.glob("*.json") if p.name not in OURS | {STATUS_FILE})


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."]
    except OSError:
        return []
