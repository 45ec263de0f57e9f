"""Which commit of Filmgate this is."""

import json
import os
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

COMMIT = "FILMGATE_COMMIT"
"""Says it where nothing else can, in an image for instance."""


@cache
def commit_hash() -> str | None:
    """The commit, as the environment says, the checkout that this runs from, or the record of an
    installation from git; None where it is a release."""
    if told := os.environ.get(COMMIT):
        return told
    return _of_checkout() or _of_installation()


def _of_checkout() -> str | None:
    root = Path(__file__).resolve().parents[3]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return None
    asked = [git, "-C", str(root), "rev-parse", "--verify", "HEAD"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.strip() if said.returncode == 0 else None


def _of_installation() -> str | None:
    try:
        told = metadata.distribution("filmgate").read_text("direct_url.json")
        commit = json.loads(told or "{}").get("vcs_info", {}).get("commit_id")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    return str(commit) if commit else None
