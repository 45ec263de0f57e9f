"""What a check is, and which there are.

A check is a function `(Session) -> Result`, decorated with `@check(version=…)`. Its name is the
name of its column; its result is a frozen dataclass whose field `value` is what stands there and
whose other fields are the evidence. Modules in `checks/` are found by themselves, and so are
functions that packages offer as entry points of the group `filmgate.checks`.
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
from filmgate.pipelines.gameplay.files import ORIGINAL
from filmgate.pipelines.gameplay.session import Session

GROUP = "filmgate.checks"
V1, V2 = "v1", "v2"

ARROW = {bool: "bool", int: "int64", float: "double", str: "string"}
"""What stands in the table for a type of a field."""

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Check:
    """A check, and the columns that it fills."""

    name: str
    version: int
    edition: str
    """`v1`: as the public pipeline has it; `v2`: ours, and those of packages."""
    run: Callable[[Session], Any]
    fields: Mapping[str, str]
    """Arrow type of each field of its result, `value` first."""


def check(*, version: int, edition: str = V2) -> Callable[[Callable[[Session], Result]], Check]:
    """Make a check of a function. `version` rises whenever the same session gets another answer.

    Raises TypeError where the result is no frozen dataclass with a field `value`, or has a field
    that no column can hold.
    """

    def declare(run: Callable[[Session], Result]) -> Check:
        name = getattr(run, "__name__", "")
        result = typing.get_type_hints(run).get("return")
        if not (isinstance(result, type) and dataclasses.is_dataclass(result)):
            raise TypeError(f"check {name}: expected a dataclass for its result, got {result!r}")
        hints = typing.get_type_hints(result)
        fields = {each.name: _arrow(name, hints[each.name]) for each in dataclasses.fields(result)}
        if next(iter(fields), None) != "value" or name in _TAKEN or not _NAME.fullmatch(name):
            raise TypeError(f"check {name}: expected a result whose first field is `value`")
        return Check(name=name, version=version, edition=edition, run=run, fields=fields)

    return declare


_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAKEN = frozenset(
    name for name in ORIGINAL if not name.startswith(("is_video", "is_dpi", "video_menu"))
) | {"pt_digest", "check_versions", "error_code", "remarks"}


def _arrow(check_name: str, hint: Any) -> str:
    """The Arrow type of a field."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        given = [each for each in typing.get_args(hint) if each is not types.NoneType]
        hint = given[0] if len(given) == 1 else hint
    if typing.get_origin(hint) in {list, tuple}:
        inner = typing.get_args(hint)[0]
        if inner in ARROW:
            return f"list<item: {ARROW[inner]}>"
    if hint in ARROW:
        return ARROW[hint]
    raise TypeError(
        f"check {check_name}: a field of type {hint!r} has no column; there are bool, int, float, "
        "str, lists of them, and None"
    )


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check there is, ours in the order of their modules and lines, then those of packages.

    Raises Unavailable where a package cannot be loaded, Invalid where two go by one name.
    """
    found: list[Check] = []
    for module in sorted(each.name for each in pkgutil.iter_modules(built_in.__path__)):
        names = vars(import_module(f"{built_in.__name__}.{module}")).values()
        found += [each for each in names if isinstance(each, Check) and each not in found]
    found += _of_packages()
    for number, each in enumerate(found):
        if any((each.name, each.edition) == (e.name, e.edition) for e in found[:number]):
            raise Invalid(
                f"several checks go by {each.name!r}",
                expected="one of that name",
                hint="Remove one of the packages that offer it",
            )
    return tuple(found)


def _of_packages() -> Iterable[Check]:
    for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            offered = entry.load()
        except Exception as error:
            raise Unavailable(
                f"the check {entry.name!r} cannot be loaded",
                expected=entry.value,
                got=f"{type(error).__name__}: {error}",
                hint="Mend or remove the package that offers it",
            ) from error
        if not isinstance(offered, Check):
            raise Invalid(
                f"the entry point {entry.name!r} in {GROUP} is no check",
                expected="a function decorated with @check",
                got=type(offered).__name__,
            )
        yield offered


def chosen(names: str) -> tuple[Check, ...]:
    """The checks that are meant by `v1`, `v2`, or names by comma: `is_frozen`, which is of v2, or
    `v1:is_dpi_scale_issue`. Invalid for others, and for two of one name."""
    there = all_checks()
    if names in {V1, V2}:
        return tuple(each for each in there if each.edition == names)
    by_name = {_called(each): each for each in there}
    given = [name.strip().removeprefix(f"{V2}:") for name in names.split(",")]
    wanted = [name for name in given if name]
    unknown = [name for name in wanted if name not in by_name]
    if unknown or not wanted:
        raise Invalid(
            "there is no such check",
            expected=f"v1, v2, or some of {', '.join(by_name)}",
            got=", ".join(unknown) or "none",
        )
    meant = tuple(each for name, each in by_name.items() if name in wanted)
    if len({each.name for each in meant}) < len(meant):
        raise Invalid(
            "two checks fill one column",
            expected="each column once",
            got=", ".join(wanted),
        )
    return meant


def _called(check: Check) -> str:
    """What a check goes by among all."""
    return check.name if check.edition == V2 else f"{check.edition}:{check.name}"
