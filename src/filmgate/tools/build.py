"""Find out which commit of Filmgate is running."""

import json
import os
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

COMMIT = "FILMGATE_COMMIT"
"""Environment variable with the commit, for example in an image without a git checkout."""


@cache
def commit_hash() -> str | None:
    """Return the commit of the running code; None for a release.

    It comes from the environment, from the git checkout of this file, or from the record of an
    installation from git.
    """
    if commit := os.environ.get(COMMIT):
        return commit
    return _commit_of_checkout() or _commit_of_installation()


def _commit_of_checkout() -> str | None:
    root = Path(__file__).resolve().parents[3]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    command = [git, "-C", str(root), "rev-parse", "--verify", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _commit_of_installation() -> str | None:
    try:
        direct_url = metadata.distribution("filmgate").read_text("direct_url.json")
        commit = json.loads(direct_url or "{}").get("vcs_info", {}).get("commit_id")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return str(commit) if commit else None
