"""Without one of the built-in pipelines, everything else works: nothing depends on it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tests", "pyproject.toml", "README.md")
ABOUT_PAGES = ("test_docs.py", "test_architecture.py", "test_redaction.py")
"""Tests of the pages, which describe the built-in pipelines."""


@pytest.fixture(params=["gameplay", "rulebook"])
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the project without a pipeline, its registration and its tests."""
    name: str = request.param
    for each in COPIED:
        source = ROOT / each
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, tmp_path / each, ignore=ignored)
        else:
            shutil.copy(source, tmp_path)
    shutil.rmtree(tmp_path / "src/filmgate/pipelines" / name)
    unregister(tmp_path / "src/filmgate/pipelines/built_in.py", name)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace(f', "filmgate.pipelines.{name}"', ""))
    for path in (tmp_path / "tests").rglob("*.py"):
        if path.name in ABOUT_PAGES or re.search(rf"\b{name}\b", path.read_text()):
            path.unlink()
    made = run(tmp_path, "tests/support/client_methods.py")
    (tmp_path / "src/filmgate/client/queries.py").write_text(made)
    return tmp_path


def unregister(path: Path, name: str) -> None:
    """Remove the entries of a pipeline from the tables of built-in ones."""
    source = path.read_text()
    lines = source.splitlines(keepends=True)
    tables = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict)]
    for table in sorted(tables, key=lambda table: -table.lineno):
        for key, value in reversed(list(zip(table.keys, table.values, strict=True))):
            if key is not None and f"filmgate.pipelines.{name}." in ast.unparse(value):
                del lines[key.lineno - 1 : value.end_lineno]
    path.write_text("".join(lines))


def run(folder: Path, *arguments: str) -> str:
    """Run Python in a copy of the project; return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder / 'src'}:{folder / 'tests'}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout


@pytest.mark.proof
def test_without_a_pipeline_everything_else_is_green(copy: Path) -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    run(copy, "-c", lint, "--no-cache")
    run(copy, "-m", "mypy", "src")
    tests = ("tests/unit", "tests/contract", "tests/integration/test_engine.py")
    report = run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    passed = re.search(r"([0-9]+) passed", report)
    assert passed is not None
    assert int(passed[1]) > 500
