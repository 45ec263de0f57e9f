"""The page on the architecture and the docstrings of folders match the code."""

import ast
import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "filmgate"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PICTURE = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)
IN_CODE = re.compile(r"`([^` ]+)`")
MAX_LIST = 3
"""Maximum number of things that the docstring of a folder lists; a longer list describes what the
folder contains, not what it is."""

Edges = set[tuple[str, str]]


def find_imports(package: str) -> Edges:
    """Return (a, b) for each folder `a` of a package that imports a folder `b`."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    pairs = {
        (importer.split(".")[1], imported.split(".")[1])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
        if "." in importer and "." in imported
    }
    folders = {name for pair in pairs for name in pair if graph.find_children(f"{package}.{name}")}
    return {(a, b) for a, b in pairs if a != b and {a, b} <= folders}


def reduce_edges(edges: Edges) -> Edges:
    """Return the transitive reduction: the edges that no longer path replaces."""

    @cache
    def reachable(start: str) -> frozenset[str]:
        direct = {b for a, b in edges if a == start}
        return frozenset(direct).union(*map(reachable, direct))

    def is_needed(start: str, end: str) -> bool:
        return not any(end in reachable(b) for a, b in edges if a == start)

    return {(a, b) for a, b in edges if is_needed(a, b)}


@cache
def contracts() -> list[dict[str, Any]]:
    """Return the contracts of import-linter."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return found


def layers() -> list[list[str]]:
    """Return the rooms of each layer, highest first; modules beside the rooms are left out."""
    declared = next(each["layers"] for each in contracts() if each["type"] == "layers")
    rooms = [
        [name for name in re.split(r" \| ", row) if (SOURCE / name).is_dir()] for row in declared
    ]
    return [row for row in rooms if row]


def draw(edges: Edges, rooms: Iterable[str]) -> str:
    """Return edges as a Mermaid flowchart, with one line per room, in the order of `rooms`."""
    order = list(rooms)
    lines = ["flowchart TD"]
    for room in order:
        targets = [target for target in order if (room, target) in edges]
        if targets:
            lines.append(f"    {room} --> {' & '.join(targets)}")
    return "\n".join(lines) + "\n"


def table(header: str) -> list[list[str]]:
    """Return the rows of the table of the page whose first header cell is `header`."""
    lines = iter(PAGE.read_text().splitlines())
    found = any(line.startswith(f"| {header} |") for line in lines)
    assert found, f"the page has no table {header!r}"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_picture_shows_the_imports_between_rooms() -> None:
    rooms = [room for row in layers() for room in row]
    edges = find_imports("filmgate")
    assert [(a, b) for a, b in edges if rooms.index(a) > rooms.index(b)] == [], "imports go up"
    expected = draw(reduce_edges(edges), rooms)
    shown = PICTURE.findall(PAGE.read_text())
    assert shown == [expected], f"the picture in {PAGE.name} should be:\n\n{expected}"


def test_the_reduction_leaves_out_only_edges_that_a_longer_path_replaces() -> None:
    edges = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("b", "d"), ("x", "d")}
    assert reduce_edges(edges) == {("a", "b"), ("b", "c"), ("c", "d"), ("x", "d")}


def test_imports_for_types_and_imports_inside_functions_are_in_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {
        "__init__": "",
        "high/__init__": "",
        "high/types": "import typing\nif typing.TYPE_CHECKING:\n    import planted.low.a",
        "high/local": "def f():\n    from planted.middle import b",
        "middle/__init__": "",
        "middle/b": "from . import c",
        "middle/c": "",
        "low/__init__": "",
        "low/a": "",
    }
    for name, text in modules.items():
        path = tmp_path / "planted" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_imports("planted") == {("high", "low"), ("high", "middle")}


def test_the_table_of_rooms_has_the_layers_of_the_linter() -> None:
    shown = [(row[0], row[1].strip("`")) for row in table("layer")]
    assert shown == [(str(n), room) for n, row in enumerate(layers(), 1) for room in row]


def test_the_page_lists_every_contract_of_the_linter() -> None:
    shown = [row[0] for row in table("contract in `pyproject.toml`")]
    assert shown == [contract["name"] for contract in contracts()]


def test_every_path_of_the_page_exists() -> None:
    paths = [text for text in IN_CODE.findall(PAGE.read_text()) if re.search(r"/|\.\w+$", text)]
    assert len(paths) > 50
    missing = [path for path in paths if not any(any(root.glob(path)) for root in (ROOT, SOURCE))]
    assert missing == []


def packages() -> list[Path]:
    """Return all folders of the source that are packages."""
    return sorted(path.parent for path in SOURCE.rglob("__init__.py"))


def faults_of_docstring(text: str | None) -> list[str]:
    """Return why a docstring does not state one concept in one sentence."""
    if not text:
        return ["is missing"]
    faults = []
    if "\n" in text.strip():
        faults.append("has more than one line")
    if not re.fullmatch(r"[A-Z`].*[^.]\.", text) or re.search(r"[.!?;] ", text):
        faults.append("is not one sentence")
    if re.search(r"\b(and|but) also\b|\bas well as\b|\betc\b|…", text):
        faults.append("names a second concept")
    if max(len(re.findall(r", | and | or ", part)) for part in text.split(": ")) >= MAX_LIST:
        faults.append(f"lists more than {MAX_LIST} things")
    return faults


@pytest.mark.parametrize("folder", packages(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_docstring_of_a_folder_states_its_concept_in_one_sentence(folder: Path) -> None:
    tree = ast.parse((folder / "__init__.py").read_text())
    assert faults_of_docstring(ast.get_docstring(tree)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is missing"),
        ("Runs stages. Stores files.", "is not one sentence"),
        ("Runs stages; stores files.", "is not one sentence"),
        ("Runs stages", "is not one sentence"),
        ("Runs stages.\n\nStores files.", "has more than one line"),
        ("Runs stages, and also stores files.", "names a second concept"),
        ("Helpers: paths, times, hashes and texts.", "lists more than 3 things"),
    ],
)
def test_a_docstring_that_does_not_state_one_concept_is_reported(text: str, fault: str) -> None:
    assert fault in faults_of_docstring(text)
