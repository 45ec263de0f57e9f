"""The registry of checks.

A check is a function `(GameSession) -> Result`, decorated with `@check(version=…)`. Its name is
the name of its column. Its result is a frozen dataclass: the field `value` is the value of the
column, the other fields are the evidence. Checks are discovered in the modules of `checks/` and
in the entry points of the group `filmgate.checks`.
"""

import dataclasses
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from filmgate.core.errors import Invalid, Unavailable
from filmgate.pipelines.gameplay import checks as built_in
from filmgate.pipelines.gameplay.files import ORIGINAL_COLUMNS
from filmgate.pipelines.gameplay.session import GameSession

GROUP = "filmgate.checks"
V1, V2 = "v1", "v2"

ARROW_TYPES: Mapping[object, str] = {bool: "bool", int: "int64", float: "double", str: "string"}
"""Arrow type of a column by the Python type of its field."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check, with its columns."""

    name: str
    version: int
    edition: str
    """`v1` for the checks of the public pipeline; `v2` for those of Filmgate and of other
    packages."""
    run: Callable[[GameSession], Any]
    fields: Mapping[str, str]
    """Arrow type of each field of its result, by name, `value` first."""


def check(*, version: int, edition: str = V2) -> Callable[[Callable[[GameSession], Result]], Check]:
    """Decorate a function as a check.

    `version`: increased whenever the same session gives another result. Raises TypeError if the
    result is not a dataclass whose first field is `value`, if it has a field that cannot be stored
    in a column, or if the name of the function is not a valid name for a column.
    """

    def declare(run: Callable[[GameSession], Result]) -> Check:
        name = getattr(run, "__name__", "")
        result = typing.get_type_hints(run).get("return")
        if not (isinstance(result, type) and dataclasses.is_dataclass(result)):
            raise TypeError(f"check {name}: the result is not a dataclass, but {result!r}")
        hints = typing.get_type_hints(result)
        fields = {
            each.name: _arrow_type(name, hints[each.name]) for each in dataclasses.fields(result)
        }
        if (
            next(iter(fields), None) != "value"
            or name in _RESERVED_NAMES
            or not _NAME.fullmatch(name)
        ):
            raise TypeError(
                f"check {name}: the result or the name is invalid; expected `value` as the first "
                "field of the result, and a name of lower-case letters, digits and underscores "
                "that the table does not use already"
            )
        return Check(name=name, version=version, edition=edition, run=run, fields=fields)

    return declare


_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RESERVED_NAMES = frozenset(
    name for name in ORIGINAL_COLUMNS if not name.startswith(("is_video", "is_dpi", "video_menu"))
) | {"pt_digest", "check_versions", "error_code", "remarks"}


def _arrow_type(check_name: str, hint: object) -> str:
    """Find the Arrow type of a field."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        not_none = [part for part in typing.get_args(hint) if part is not types.NoneType]
        hint = not_none[0] if len(not_none) == 1 else hint
    if typing.get_origin(hint) in {list, tuple}:
        inner = typing.get_args(hint)[0]
        if inner in ARROW_TYPES:
            return f"list<item: {ARROW_TYPES[inner]}>"
    if hint in ARROW_TYPES:
        return ARROW_TYPES[hint]
    raise TypeError(
        f"check {check_name}: a field of type {hint!r} cannot be stored in a column; expected "
        "bool, int, float, str, a list of these, or None"
    )


@cache
def load_checks() -> tuple[Check, ...]:
    """Load all checks: the built-in ones ordered by module and line, then those of packages.

    Raises Unavailable if an entry point cannot be loaded. Raises Invalid if an entry point is not a
    check, or if two checks of the same edition have the same name.
    """
    found: list[Check] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(built_in.__path__)):
        values = vars(import_module(f"{built_in.__name__}.{module}")).values()
        found += [value for value in values if isinstance(value, Check) and value not in found]
    found += _load_package_checks()
    for number, one in enumerate(found):
        if any((one.name, one.edition) == (other.name, other.edition) for other in found[:number]):
            raise Invalid(
                f"the check {one.name!r} is defined more than once",
                expected="one check of that name",
                hint="Remove one of the packages that define it",
            )
    return tuple(found)


def _load_package_checks() -> Iterable[Check]:
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            loaded = entry.load()
        except Exception as error:
            raise Unavailable(
                f"the check {entry.name!r} cannot be loaded",
                expected=entry.value,
                got=f"{type(error).__name__}: {error}",
                hint="Repair or remove the package that defines it",
            ) from error
        if not isinstance(loaded, Check):
            raise Invalid(
                f"the entry point {entry.name!r} in {GROUP} is not a check",
                expected="a function decorated with @check",
                got=type(loaded).__name__,
            )
        yield loaded


def select_checks(names: str) -> tuple[Check, ...]:
    """Select checks by `v1`, `v2`, or names separated by commas.

    `is_frozen` is a check of v2, `v1:is_dpi_scale_issue` one of v1. Raises Invalid for an unknown
    name, and for two checks of the same column.
    """
    available = load_checks()
    if names in {V1, V2}:
        return tuple(check for check in available if check.edition == names)
    by_name = {_qualified_name(check): check for check in available}
    stripped = [name.strip().removeprefix(f"{V2}:") for name in names.split(",")]
    wanted = [name for name in stripped if name]
    unknown = [name for name in wanted if name not in by_name]
    if unknown or not wanted:
        raise Invalid(
            "the selection of checks is invalid",
            expected=f"v1, v2, or some of {', '.join(by_name)}",
            got=", ".join(unknown) or "no name",
        )
    selected = tuple(check for name, check in by_name.items() if name in wanted)
    if len({check.name for check in selected}) < len(selected):
        raise Invalid(
            "two of the selected checks have the same column",
            expected="each column once",
            got=", ".join(wanted),
        )
    return selected


def _qualified_name(check: Check) -> str:
    """Return the name that selects a check."""
    return check.name if check.edition == V2 else f"{check.edition}:{check.name}"
