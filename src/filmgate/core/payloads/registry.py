"""Which model reads which (artifact type, version)."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from filmgate.core.errors import Invalid, SchemaNotFoundError, first_fault
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Projection


class Registry:
    """Payload contracts by (type, version); several versions stand side by side."""

    def __init__(self, types: Iterable[ArtifactType]) -> None:
        self._types: dict[tuple[str, int], ArtifactType] = {}
        for each in types:
            known = self._types.setdefault((each.name, each.version), each)
            if known is not each:
                raise Invalid(
                    f"{each.name} version {each.version} is registered twice",
                    expected="one contract for each type and version",
                    got=f"{known.model.__module__} and {each.model.__module__}",
                )
        names = [each.name for each in self.projections]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Invalid(
                f"two types have a projection {twice[0]!r}",
                expected="a name for each projection",
                got=", ".join(p.artifact_type for p in self.projections if p.name == twice[0]),
            )

    def model(self, artifact_type: str, version: int) -> type[Payload]:
        """The model of one version of one type, or SchemaNotFoundError naming what there is."""
        return self._type(artifact_type, version).model

    def types(self) -> list[tuple[str, int]]:
        """Every (type, version), sorted."""
        return sorted(self._types)

    @property
    def projections(self) -> tuple[Projection, ...]:
        """The projections of every type, by name: those of its newest version."""
        newest = {name: self._types[name, version] for name, version in self.types()}
        found = [each for kind in newest.values() for each in kind.projections]
        return tuple(sorted(found, key=lambda each: each.name))

    def validate(self, artifact_type: str, version: int, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload as its contract writes it; Invalid where it breaks it."""
        model = self.model(artifact_type, version)
        try:
            return model.model_validate(payload).model_dump(mode="json")
        except ValidationError as error:
            raise Invalid(
                f"this is no {artifact_type} version {version}",
                expected=f"a payload of {model.__name__}",
                got=first_fault(error),
            ) from error

    def lift(self, artifact_type: str, version: int, payload: dict[str, Any], to: int) -> Any:
        """The payload as a later version of its contract has it.

        Raises SchemaNotFoundError where a version on the way is unknown or offers no lift, and
        Invalid where a lift makes what its contract refuses, or `to` is before `version`.
        """
        if to < version:
            raise Invalid(
                f"{artifact_type} cannot be brought back to an earlier version",
                expected=f"version {version} or later",
                got=str(to),
            )
        for number in range(version + 1, to + 1):
            lift = self._type(artifact_type, number).lift
            if lift is None:
                raise SchemaNotFoundError(
                    f"nothing makes {artifact_type} version {number} of version {number - 1}",
                    expected=f"a lift in the contract of version {number}",
                    got="none",
                )
            payload = self.validate(artifact_type, number, lift(payload))
        return payload

    def with_types(self, types: Iterable[ArtifactType]) -> "Registry":
        """This registry and more."""
        return Registry([*self._types.values(), *types])

    def _type(self, artifact_type: str, version: int) -> ArtifactType:
        try:
            return self._types[artifact_type, version]
        except KeyError:
            known = ", ".join(f"{name} v{number}" for name, number in self.types())
            raise SchemaNotFoundError(
                f"no payload contract {artifact_type!r} version {version}",
                expected=f"one of {known}",
                got=f"{artifact_type} v{version}",
                hint="Install the package that offers it",
            ) from None
