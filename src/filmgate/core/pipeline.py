"""A pipeline: a plan, the input it takes, and the profiles it knows."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from filmgate.core.errors import ExitCode, Invalid, first_fault
from filmgate.core.ids import Layout
from filmgate.core.plan import Plan

DEFAULT_PROFILE = "balanced"


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """An input that a pipeline takes on."""

    files: Mapping[str, Path]
    """By name: the asset first, then what lies beside it and belongs to it."""
    media: Mapping[str, Any] = field(default_factory=dict)
    """What is known of it before any stage; stands in the manifest."""
    is_collection: bool = False
    """Whether the asset is all of the files together, and none of them before the others."""


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What `filmgate run NAME` runs."""

    plan: Plan
    admit: Callable[[Path], Admitted] | None = None
    """Looks at an input before anything is made; raises Invalid or NotFound where it will not
    do. Without it, any one file is taken."""
    profiles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(
        default_factory=lambda: {DEFAULT_PROFILE: {}}
    )
    """What each profile sets otherwise than the stages' own defaults: by stage, by setting."""

    layout: Layout = Layout.RUN
    items_apart: bool = False
    """Whether items are worked on in processes of their own even one at a time, because what is
    in them may kill who reads it."""
    refused: ExitCode = ExitCode.DONE
    """How a run ends in which a stage left bad items out and went on with the good ones."""

    def __post_init__(self) -> None:
        unknown = {stage for values in self.profiles.values() for stage in values}
        if unknown := unknown - set(self.plan.names):
            raise ValueError(f"profiles of {self.plan.pipeline!r} set stages it lacks: {unknown}")

    def resolve(self, profile: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
        """The config of every stage under a profile, then under `STAGE.SETTING=VALUE`s.

        Raises Invalid for a profile, a stage, a setting or a value that is none.
        """
        if profile not in self.profiles:
            known = ", ".join(self.profiles)
            raise Invalid(f"no profile {profile!r}", expected=f"one of {known}", got=repr(profile))
        chosen = {stage: dict(values) for stage, values in self.profiles[profile].items()}
        for override in overrides:
            stage, setting, value = self._parse(override)
            chosen.setdefault(stage, {})[setting] = value
        try:
            return self.plan.config(chosen)
        except ValidationError as error:
            raise Invalid(
                "a setting will not do", expected=self._known(), got=first_fault(error)
            ) from error

    def _known(self) -> str:
        """Every setting that there is."""
        names = [f"{s.name}.{name}" for s in self.plan.stages for name in s.settings.model_fields]
        return f"one of {', '.join(names)}, with a value of its type"

    def _parse(self, override: str) -> tuple[str, str, Any]:
        name, equals, value = override.partition("=")
        stage, dot, setting = name.partition(".")
        if not (equals and dot and setting):
            raise Invalid(
                "a setting is given as STAGE.SETTING=VALUE",
                expected=f"such as {self.plan.names[0]}.enabled=false",
                got=repr(override),
            )
        return self.plan.named(stage.strip()).name, setting.strip(), _value(value.strip())


def _value(text: str) -> Any:
    """What was typed: a list, an object, a quoted text or null as in JSON, else the text, which
    the setting's own type reads."""
    if text[:1] in {"[", "{", '"'} or text == "null":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
