"""The import rules of the linter find violations, and the platform names no pipeline."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from filmgate.pipelines.built_in import PIPELINES

ROOT = Path(__file__).parents[2]

VIOLATIONS = {
    "core/states.py": ("import psycopg", "core and media decide"),
    "engine/runner.py": ("import filmgate.store.home", "imports go down only"),
    "services/reports.py": ("import filmgate.jobs.queue", "imports go down only"),
    "api/routes/health.py": ("import filmgate.store.home", "user interfaces call services"),
    "cli/verify.py": ("import filmgate.engine.runner", "user interfaces call services"),
    "pipelines/episode/tracking.py": (
        "import filmgate.pipelines.gameplay.session",
        "pipelines do not know each other",
    ),
    "jobs/queue.py": ("import filmgate.testing", "imports go down only"),
    "testing/object_store.py": ("import filmgate.db.queries", "tests of stages need the engine"),
    "pipelines/rulebook/plan.py": ("import filmgate.db.queries", "a pipeline receives its engine"),
}
"""By file: an import that is not allowed there, and the start of the rule that it breaks."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the linter's report on a copy of the source with all violations."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, (statement, _) in VIOLATIONS.items():
        path = copy / "src/filmgate" / file
        path.write_text(f"{path.read_text()}\n{statement}\n")
    command = "from importlinter.cli import lint_imports_command as lint; lint()"
    ended = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=copy,
        env={"PYTHONPATH": str(copy / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("file", VIOLATIONS)
def test_an_import_that_is_not_allowed_is_reported(report: str, file: str) -> None:
    statement, rule = VIOLATIONS[file]
    _, found, broken = report.partition("Broken contracts")
    assert found
    module = f"filmgate.{file.removesuffix('.py').replace('/', '.')}"
    assert rule in broken
    assert f"{module} -> {statement.removeprefix('import ')}" in broken


PLATFORM = (
    "core",
    "engine",
    "store",
    "db",
    "sync",
    "services",
    "jobs",
    "cli",
    "api",
    "wiring",
)
NAMES = re.compile(rf"(?<![a-z])({'|'.join(PIPELINES)})(?![a-z])", re.IGNORECASE)
PROMISED = {
    ("store/legacy.py", "episode_status.json"),
    ("db/legacy.py", "episode_id"),
    ("sync/legacy.py", "episode_id"),
    ("api/routes/runs.py", "list_episode_runs"),
}
"""Names of files, columns and operations of other products and of the API, which happen to contain
the name of a pipeline."""


def names_in(source: str) -> Iterator[str]:
    """Yield the identifiers, modules and texts of a source file, docstrings included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        for field in ("name", "id", "attr", "arg", "module"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


def test_the_platform_names_no_pipeline() -> None:
    package = ROOT / "src/filmgate"
    found = {
        (str(path.relative_to(package)), text)
        for room in PLATFORM
        for path in (package / room).rglob("*.py")
        for text in names_in(path.read_text())
        if NAMES.search(text)
    }
    docstrings = {(file, text) for file, text in found if "episode_status.json" in text}
    assert found - PROMISED - docstrings == set()


def test_a_planted_name_of_a_pipeline_is_found() -> None:
    for line in ("RULEBOOK = 1", 'name = "gameplay"', "import filmgate.pipelines.episode.plan"):
        assert any(NAMES.search(text) for text in names_in(line)), line
