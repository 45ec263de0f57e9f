"""`filmgate demo` prints what the README shows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.nightly
def test_the_demo_finds_its_cuts_and_words_and_can_be_repeated(
    tmp_path: Path, database_url: str
) -> None:
    environment = os.environ | {
        "FILMGATE_HOME": str(tmp_path / "home"),
        "FILMGATE_DATABASE_URL": database_url,
    }
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "filmgate", "demo"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "7 scenes" in done.stdout
        for second in (0, 3, 9, 14, 17, 23, 27):
            assert f"0:00:{second:02}.000 –" in done.stdout
        assert "0:00:17.500  Grace Hopper wrote the first compiler" in done.stdout
        assert "0:00:14.000 – 0:00:17.000  scene" in done.stdout
