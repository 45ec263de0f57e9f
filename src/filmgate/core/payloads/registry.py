"""The registry of payload contracts by artifact type and version."""

from collections.abc import Iterable

from pydantic import ValidationError

from filmgate.core.digest import JsonDict
from filmgate.core.errors import Invalid, SchemaNotFoundError, first_fault
from filmgate.core.payloads.artifact_type import ArtifactType
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.projection import Projection


class Registry:
    """Payload contracts by (type, version); a type may have several versions."""

    def __init__(self, types: Iterable[ArtifactType]) -> None:
        self._types: dict[tuple[str, int], ArtifactType] = {}
        for added in types:
            known = self._types.setdefault((added.name, added.version), added)
            if known is not added:
                raise Invalid(
                    f"{added.name} version {added.version} is registered twice",
                    expected="one contract per type and version",
                    got=f"{known.model.__module__} and {added.model.__module__}",
                )
        names = [projection.name for projection in self.projections]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise Invalid(
                f"projection {twice[0]!r} is defined by two types",
                expected="projections with different names",
                got=", ".join(p.artifact_type for p in self.projections if p.name == twice[0]),
            )

    def model(self, artifact_type: str, version: int) -> type[Payload]:
        """Return the model of a version of a type.

        Raises SchemaNotFoundError, listing the known types, if it is not registered.
        """
        return self._type(artifact_type, version).model

    def types(self) -> list[tuple[str, int]]:
        """Return every (type, version), sorted."""
        return sorted(self._types)

    @property
    def projections(self) -> tuple[Projection, ...]:
        """Projections of the newest version of every type, sorted by name."""
        newest = {name: self._types[name, version] for name, version in self.types()}
        found = [projection for kind in newest.values() for projection in kind.projections]
        return tuple(sorted(found, key=lambda projection: projection.name))

    def validate(self, artifact_type: str, version: int, payload: JsonDict) -> JsonDict:
        """Validate a payload; return it as JSON values. Raises Invalid if it is invalid."""
        model = self.model(artifact_type, version)
        try:
            return model.model_validate(payload).model_dump(mode="json")
        except ValidationError as error:
            raise Invalid(
                f"payload is not a valid {artifact_type} version {version}",
                expected=f"a payload of {model.__name__}",
                got=first_fault(error),
            ) from error

    def lift(self, artifact_type: str, version: int, payload: JsonDict, to: int) -> JsonDict:
        """Upgrade a payload to version `to` of its contract.

        Raises SchemaNotFoundError if a version in between is unknown or has no upgrade function
        (`ArtifactType.lift`), and Invalid if an upgraded payload breaks its contract, or `to` is
        before `version`.
        """
        if to < version:
            raise Invalid(
                f"{artifact_type} cannot be converted to an earlier version",
                expected=f"version {version} or later",
                got=str(to),
            )
        for number in range(version + 1, to + 1):
            lift = self._type(artifact_type, number).lift
            if lift is None:
                raise SchemaNotFoundError(
                    f"{artifact_type} version {number - 1} cannot be upgraded to version {number}",
                    expected=f"an upgrade function (lift) in version {number}",
                    got="none",
                )
            payload = self.validate(artifact_type, number, lift(payload))
        return payload

    def with_types(self, types: Iterable[ArtifactType]) -> "Registry":
        """Return a registry with the types of this one and `types`."""
        return Registry([*self._types.values(), *types])

    def _type(self, artifact_type: str, version: int) -> ArtifactType:
        try:
            return self._types[artifact_type, version]
        except KeyError:
            known = ", ".join(f"{name} v{number}" for name, number in self.types())
            raise SchemaNotFoundError(
                f"artifact type {artifact_type!r} version {version} is not registered",
                expected=f"one of {known}",
                got=f"{artifact_type} v{version}",
                hint="Install the package that provides it",
            ) from None
