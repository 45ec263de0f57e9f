"""Shell completion of assets, runs and stages. Only folders in the home are read.

Completion must be fast and must not fail: files that cannot be read yield no suggestions.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HEAD = "run.json"
"""The file in a run's folder that names its stages."""


def complete_assets(incomplete: str) -> list[str]:
    """Complete the id of an asset that has runs in the home."""
    return _matching(asset_ids(), incomplete)


def complete_runs(incomplete: str) -> list[str]:
    """Complete an asset id, a run as `asset/run`, or the id of a job."""
    names = [f"{path.parent.parent.name}/{path.name}" for path in _run_folders()]
    return _matching([*asset_ids(), *names, *(path.name for path in _job_folders())], incomplete)


def complete_stages(incomplete: str) -> list[str]:
    """Complete the name of a stage of any run in the home."""
    names: dict[str, None] = {}
    for folder in [*_run_folders(), *_job_folders()]:
        with suppress(OSError, ValueError, TypeError, AttributeError):
            names |= dict.fromkeys(json.loads((folder / HEAD).read_bytes()).get("stages", ()))
    return _matching(names, incomplete)


def asset_ids() -> list[str]:
    """Return the ids of all assets that have runs in the home."""
    return sorted({folder.parent.parent.name for folder in _run_folders()})


def _home() -> Path:
    return Path(os.environ.get("FILMGATE_HOME") or ".filmgate").expanduser()


def _run_folders() -> Iterator[Path]:
    with suppress(OSError):
        yield from (path.parent for path in _home().glob(f"manifests/*/runs/*/{HEAD}"))


def _job_folders() -> Iterator[Path]:
    with suppress(OSError):
        yield from (path.parent for path in _home().glob(f"artifacts/ingest/*/*/{HEAD}"))


def _matching(names: object, incomplete: str) -> list[str]:
    listed = names if isinstance(names, list | dict) else []
    return [name for name in listed if str(name).startswith(incomplete)]
