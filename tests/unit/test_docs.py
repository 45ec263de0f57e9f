"""What users can type or set is written down, and what is written down exists."""

import dataclasses
import inspect
import re
import shlex
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import filmgate
import filmgate.testing
from filmgate.api.application import create_app
from filmgate.api.service import AuthMode, Service
from filmgate.cli.commands import COMMANDS, root
from filmgate.cli.lazy_group import LazyGroup
from filmgate.core.command import CommandLine, Printer
from filmgate.core.errors import ExitCode
from filmgate.core.gates import ReasonCode
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.built_in import BUILT_IN
from filmgate.core.payloads.projection import Column, Projection
from filmgate.core.pipeline import Pipeline
from filmgate.core.plan import Stage
from filmgate.core.ports import StageContext
from filmgate.core.query import Query, QueryContext
from filmgate.pipelines.built_in import PIPELINES
from filmgate.services.queries import table
from filmgate.services.queries.entries import BUILT_IN as QUERIES
from filmgate.services.queries.parameters import SelectionParameters
from filmgate.wiring import pipelines
from filmgate.wiring.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
CURRENT = [page for page in PAGES if page.parent.name != "decisions"]
"""Pages that describe the present; decision records describe the time of the decision."""

FENCE = re.compile(r"^```.*?\n(.*?)^```$", re.M | re.S)
PATTERN_OF_COMMANDS = re.compile(r"(?:^|\$ |&& |\$\(|bin/)filmgate ([^\n|>;&)]*)", re.M)
ENTRY_POINT = re.compile(r'^([\w-]+) = "\w+:\w+"$|^    name="(\w+)"', re.M)
OWN_OPTION = re.compile(r"^    (\w+): Annotated\[", re.M)


def commands() -> dict[str, list[str]]:
    """Every command with its options."""
    found: dict[str, list[str]] = {}
    waiting = [("filmgate", root())]
    while waiting:
        name, command = waiting.pop()
        children = getattr(command, "commands", {})
        if isinstance(command, LazyGroup):
            children = {each: command.load(each) for each in command.summaries()}
        waiting += [(f"{name} {each}", child) for each, child in children.items()]
        if not children or getattr(command, "invoke_without_command", False):
            options = [option for parameter in command.params for option in parameter.opts]
            found[name] = [option for option in options if option.startswith("--")]
    return found


@pytest.mark.parametrize("command", commands())
def test_every_command_and_option_is_in_the_reference(command: str) -> None:
    text = (REFERENCE / "cli.md").read_text()
    assert f"`{command}" in text
    missing = [option for option in commands()[command] if f"`{option}" not in text]
    assert missing == []


def test_every_setting_exit_code_reason_stage_and_contract_is_in_the_reference() -> None:
    text = "".join(path.read_text() for path in REFERENCE.glob("*.md"))
    settings = [str(each.validation_alias or name) for name, each in Settings.model_fields.items()]
    words = [f"FILMGATE_{name.upper()}" for name in settings]
    words += [code.value for code in ReasonCode]
    for plan in (pipelines.load(name).plan for name in PIPELINES):
        words += [*plan.names]
        words += [contract.path for stage in plan.stages for contract in stage.makes]
    words += [artifact_type for artifact_type, _ in BUILT_IN.types()]
    words += [f"| {code.value} |" for code in ExitCode]
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_short_summary_and_an_example(name: str) -> None:
    entry = COMMANDS[name]
    assert len(entry.summary) <= 60
    assert entry.examples or name in {"run", "plan"}
    assert all(example.startswith(f"filmgate {name}") for example in entry.examples)


def every_command() -> Iterator[tuple[str, Any, bool]]:
    """Every command with its name, and whether it is in the table of commands."""
    waiting = [("filmgate", root(), True)]
    while waiting:
        name, command, is_listed = waiting.pop()
        yield name, command, is_listed
        if isinstance(command, LazyGroup):
            waiting += [
                (f"{name} {each}", command.load(each), True) for each in command.summaries()
            ]
        else:
            children = getattr(command, "commands", {})
            waiting += [(f"{name} {each}", child, False) for each, child in children.items()]


def test_every_option_says_what_it_is_for() -> None:
    missing = [
        f"{name} {parameter.opts}"
        for name, command, _ in every_command()
        for parameter in command.params
        if not getattr(parameter, "help", None) and not getattr(parameter, "hidden", False)
    ]
    assert missing == []


def test_every_command_has_a_summary_of_60_characters_and_an_example() -> None:
    faults = []
    for name, command, is_listed in every_command():
        summary = " ".join((command.help or "").strip().split("\n\n")[0].split())
        if not is_listed and not 0 < len(summary) <= 60:
            faults.append(f"{name}: {summary}")
        has_children = isinstance(command, LazyGroup) or getattr(command, "commands", {})
        if not has_children and "Examples:" not in (command.epilog or ""):
            faults.append(f"{name}: no example")
    assert faults == []


FOR_AUTHORS = [
    *(Pipeline, Stage, Query, CommandLine, ArtifactType, Projection, Column),
    *(StageContext, QueryContext, Printer),
]
"""Classes whose fields and members authors of packages use."""


def inline_code(page: Path) -> str:
    return " ".join(re.findall("`[^`]+`", FENCE.sub("", page.read_text())))


def members_of(described: type) -> set[str]:
    if dataclasses.is_dataclass(described):
        names = {field.name for field in dataclasses.fields(described)}
        return names - {"work"}  # the function that is declared as a stage
    return {name for name in dir(described) if not name.startswith("_")}


@pytest.mark.parametrize("described", FOR_AUTHORS, ids=lambda described: described.__name__)
def test_every_member_that_authors_of_packages_use_is_in_the_reference(described: type) -> None:
    code = inline_code(REFERENCE / "pipelines.md")
    missing = [name for name in members_of(described) if not re.search(rf"\b{name}\b", code)]
    assert missing == []


def test_every_public_name_is_in_the_reference() -> None:
    code = inline_code(REFERENCE / "pipelines.md")
    names = [*filmgate.__all__, *filmgate.testing.__all__]
    for function in (filmgate.testing.run_stage, filmgate.testing.run_pipeline):
        names += list(inspect.signature(function).parameters)
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


def test_the_reference_of_the_api_has_every_query_with_its_parameters() -> None:
    text = (REFERENCE / "api.md").read_text()
    found = re.findall(r"`(?:GET )?(/v1/[^`?]+)(?:\?([^`]*))?`", text)
    written = {path: set(filter(None, parameters.split("&"))) for path, parameters in found}
    for name in QUERIES:
        query = table.load(name)
        own = set(query.parameters.model_fields) - set(query.path_fields)
        own -= (
            set(SelectionParameters.model_fields)
            if issubclass(query.parameters, SelectionParameters)
            else set()
        )
        assert written[query.path.replace("{asset_id}", "{id}")] == own, name


def test_the_reference_lists_the_commands_in_their_groups() -> None:
    rows = re.findall(r"^\| ([A-Z][\w ]+) \| (`.+) \|$", (REFERENCE / "cli.md").read_text(), re.M)
    written = [(group, re.findall(r"`(\w+)`", names)) for group, names in rows]
    groups = dict.fromkeys(entry.section for entry in COMMANDS.values())
    assert written == [
        (group, [name for name, entry in COMMANDS.items() if entry.section == group])
        for group in groups
    ]


def promised_tests(page: Path) -> dict[str, list[str]]:
    """Return the tests that each row of a table of promises or statements names."""
    tables = re.findall(
        r"^\| (?:promise|statement) \| tests \|\n\| --- \| --- \|\n((?:\|.*\n)+)",
        page.read_text(),
        re.M,
    )
    rows = [row.strip("|").split(" | ") for table in tables for row in table.splitlines()]
    return {row[0].strip(): re.findall(r"`(test_\w+)`", row[-1]) for row in rows}


def test_the_tests_that_hold_each_promise_of_the_service_exist() -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    existing = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    for page, least in ((ROOT / "SECURITY.md", 20), (ROOT / "docs/how-to/deploy.md", 18)):
        rows = promised_tests(page)
        assert len(rows) >= least
        assert [row for row, tests in rows.items() if not tests] == [], page.name
        assert {test for tests in rows.values() for test in tests} - existing == set(), page.name


LIMITS = {"maxLength", "maximum", "maxItems", "maxProperties"}


def limits_in(node: Any) -> Iterator[int]:
    """Yield the upper limits in an API description."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in LIMITS and isinstance(value, int | float):
                yield int(value)
            elif name != "responses":
                yield from limits_in(value)
    elif isinstance(node, list):
        for item in node:
            yield from limits_in(item)


def test_the_reference_has_the_limits_of_all_values_that_the_api_takes() -> None:
    description = create_app(Service(Settings(), AuthMode.REQUIRED, ())).openapi()
    bodies = ("JobBody", "ShareRequest", "TokenRequest", "Selection")
    schemas = {name: description["components"]["schemas"][name] for name in bodies}
    limits = set(limits_in(description["paths"])) | set(limits_in(schemas))
    assert {50, 1000, 2000, 4096} <= limits
    section = (REFERENCE / "api.md").read_text().partition("## Limits of values")[2]
    section = section.partition("\n## ")[0]
    assert [limit for limit in sorted(limits) if not re.search(rf"\b{limit:,}\b", section)] == []


def written_commands(page: Path) -> list[list[str]]:
    """Return the words after `filmgate` of all commands on a page."""
    text = page.read_text()
    found = [
        command for block in FENCE.findall(text) for command in PATTERN_OF_COMMANDS.findall(block)
    ]
    found += re.findall(r"`filmgate ([^`]+)`", FENCE.sub("", text))
    return [shlex.split(command.replace("…", " … "), comments=True) for command in found]


def fault_of(words: Sequence[str], own: frozenset[str], base: str = "episode") -> str | None:
    """Return what is unknown in a command line. `own`: pipelines and queries of the page, whose
    pipelines take their input like `base`."""
    if words[0] in own:
        return None
    rest = [base if word in own or word == "PIPELINE" else word for word in words]
    command: Any = root()
    while rest and re.fullmatch("[a-z][a-z-]*", rest[0]):
        children = getattr(command, "commands", {})
        if isinstance(command, LazyGroup):
            children = {name: command.load(name) for name in {rest[0]} & {*command.summaries()}}
        elif not children:
            break
        if (child := children.get(rest[0])) is None:
            return f"{rest[0]} is not a command"
        command = child
        rest.pop(0)
    known = {"--help"}.union(*(each.opts + each.secondary_opts for each in command.params))
    given = [word.partition("=")[0] for word in rest if re.match("--?[a-z]", word)]
    unknown = [option for option in given if option not in known]
    return f"{' '.join(unknown)} is not an option of {command.name}" if unknown else None


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_written_command_and_option_exists(page: Path) -> None:
    text = page.read_text()
    own = frozenset(name for names in ENTRY_POINT.findall(text) for name in names if name)
    base = "rulebook" if "filmgate.pipelines.rulebook.pipeline" in text else "episode"
    options = {f"--{name.replace('_', '-')}" for name in OWN_OPTION.findall(text)}
    faults = [
        (words, fault_of([word for word in words if word not in options], own, base))
        for words in written_commands(page)
    ]
    assert [fault for fault in faults if fault[1] is not None] == []


def test_an_unknown_command_or_option_is_reported() -> None:
    own = frozenset({"waves"})
    assert fault_of(["runs", "episode"], own) == "runs is not a command"
    assert fault_of(["run", "episode", "--colour"], own) == "--colour is not an option of episode"
    assert fault_of(["run", "waves", "--colour"], own) == "--colour is not an option of episode"
    assert fault_of(["run", "waves", "--new"], own) is None


def test_every_written_setting_exists() -> None:
    fields = Settings.model_fields.items()
    known = {f"FILMGATE_{str(field.validation_alias or name).upper()}" for name, field in fields}
    known |= {"FILMGATE_TEST_DATA", "FILMGATE_EXAMPLES", "FILMGATE_COMMIT"}
    unknown = {
        (page.name, name)
        for page in CURRENT
        for name in re.findall(r"\bFILMGATE_[A-Z0-9_]*[A-Z0-9]\b(?!_)", page.read_text())
        if name not in known
    }
    assert unknown == set()


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    texts = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.replace(" ", "-") for text in texts}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
        if "://" not in link
    ]
    assert len(links) > 100
    broken = []
    for page, link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


NOT_IN_CODE = {
    "filmgate.toml",
    "filmgate.example",
    "filmgate.artifact_types",
    "filmgate.checks",
    "filmgate.migrations",
    "filmgate.product_runs",
    "filmgate.runs",
    "filmgate.pipelines",
    "filmgate.queries",
}
"""The file of settings, a host name, groups of entry points, and tables."""


def is_in_code(name: str) -> bool:
    """Whether a dotted name is that of a module or of something in a module."""
    module, _, attribute = name.rpartition(".")
    if find_spec(module) is None:
        return False
    return hasattr(import_module(module), attribute) or is_module(name)


def is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_every_written_module_and_name_exists() -> None:
    names: set[str] = set()
    for page in CURRENT:
        text = page.read_text()
        names |= set(re.findall(r"\bfilmgate(?:\.[A-Za-z_]\w*)+\b(?!\()", text))
        for module, brackets, line in re.findall(
            r"^from (filmgate[\w.]*) import (?:\(([^)]+)\)|(.+))$", text, re.M
        ):
            imported = re.split(r",\s*", (brackets or line.partition("#")[0]).strip(" \n,"))
            names |= {f"{module}.{name}" for name in imported}
    assert len(names) > 40
    assert [name for name in sorted(names - NOT_IN_CODE) if not is_in_code(name)] == []
