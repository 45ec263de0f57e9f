"""Runs the installed command, as a person or a script does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WITHOUT_SLOW_STAGES = [
    part
    for stage in ("detect", "body_tracking", "ocr", "pdf")
    for part in ("--set", f"{stage}.enabled=false")
]
"""Options of an episode run without models, for tests that need no results of them."""


class Filmgate:
    """The installed command, with a separate home."""

    def __init__(
        self, home: Path, database_url: str | None = None, *, is_light: bool = True
    ) -> None:
        """`is_light`: whether episodes run without their slow stages."""
        self.home = home
        self.is_light = is_light
        self.cwd = home.parent
        self.env = {**os.environ, "FILMGATE_HOME": str(home)}
        if database_url:
            self.env["FILMGATE_DATABASE_URL"] = database_url
        self.command = [sys.executable, "-m", "filmgate"]

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        is_episode = arguments[:2] in {("run", "episode"), ("plan", "episode")}
        options = WITHOUT_SLOW_STAGES if self.is_light and is_episode else ()
        return subprocess.run(
            [*self.command, *map(str, [*arguments, *options])],
            env=self.env,
            cwd=self.cwd,
            capture_output=True,
            text=True,
            check=False,
        )

    def without_privileges(self) -> "Filmgate":
        """Apply the modes of files to the command, also for root; skip the test if impossible."""
        if os.getuid() == 0:
            drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
            if (
                not shutil.which("setpriv")
                or subprocess.run([*drop, "true"], check=False).returncode
            ):
                pytest.skip("root cannot give up its access to all files: no setpriv")
            self.command = [*drop, *self.command]
        return self

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        """Run a command with `--json` and check that it prints exactly one JSON document."""
        done = self(*arguments, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        document = json.loads(done.stdout)
        assert isinstance(document, dict)
        return document

    def folder(self, manifest: dict[str, Any]) -> Path:
        asset, run = str(manifest["asset"]["id"]), str(manifest["run_id"])
        return self.home / "manifests" / asset / "runs" / run
