"""Which model reads which (artifact type, version)."""

from collections.abc import Mapping

from filmgate.core.errors import SchemaNotFoundError
from filmgate.core.payloads.payload import Payload
from filmgate.core.payloads.scene import SceneV1
from filmgate.core.payloads.transcript import TranscriptSegmentV1


class Registry:
    """Payload contracts by (type, version); several versions stand side by side."""

    def __init__(self, contracts: Mapping[tuple[str, int], type[Payload]]) -> None:
        self._contracts = dict(contracts)

    def model(self, artifact_type: str, version: int) -> type[Payload]:
        """The model of one version of one type, or SchemaNotFoundError naming what there is."""
        try:
            return self._contracts[artifact_type, version]
        except KeyError:
            known = ", ".join(f"{name} v{number}" for name, number in sorted(self._contracts))
            raise SchemaNotFoundError(
                f"no payload contract {artifact_type!r} version {version}",
                expected=f"one of {known}",
                got=f"{artifact_type} v{version}",
            ) from None

    def types(self) -> list[tuple[str, int]]:
        """Every (type, version), sorted."""
        return sorted(self._contracts)


BUILT_IN = Registry({("scene", 1): SceneV1, ("transcript.segment", 1): TranscriptSegmentV1})
"""The contracts that ship with Filmgate."""
