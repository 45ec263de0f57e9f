"""Model weights in the model folder: add, list, check and remove them, supply them to stages."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filmgate.core.errors import FilmgateError, NotFound, Unavailable
from filmgate.core.models import KINDS, InstalledModel, ModelKind, find_model_kind
from filmgate.core.resources import Resource
from filmgate.store.model_folder import ModelFolder
from filmgate.tools.object_models import RtDetr, YoloX
from filmgate.tools.opencv_zoo import SFace, YuNet
from filmgate.tools.place_models import Places365
from filmgate.tools.weights import digest_of_weights
from filmgate.tools.whisper import FasterWhisper
from filmgate.wiring.settings import Settings

if TYPE_CHECKING:
    from filmgate.core.providers import Image

UNKNOWN = "not stated"
"""Licence of weights that were added without one."""


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """A kind of model, with its installed weights and the result of their check."""

    kind: ModelKind
    model: InstalledModel | None
    """None if no weights are installed."""
    fault: str | None = None
    """Why the check of the weights failed; None if it did not fail."""


class Models:
    """Manages the model folder of the installation."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.models or settings.home / "models"
        self._folder = ModelFolder(folder.expanduser(), digest_of_weights)

    @property
    def root(self) -> Path:
        """Path of the model folder."""
        return self._folder.root

    def add(
        self, name: str, source: Path, *, licence: str | None, version: str | None, replace: bool
    ) -> InstalledModel:
        """Load and try weights, then copy them into the model folder.

        Weights are not tried if their library is not installed. The default of `licence` is
        `UNKNOWN`; the default of `version` is the file name without its suffix.
        """
        kind = find_model_kind(name)

        def check(resource: Resource) -> None:
            with suppress(Unavailable):  # the library of the model may be installed later
                TRIALS[name](resource)

        return self._folder.add(
            kind,
            source,
            check=check,
            licence=licence or UNKNOWN,
            version=version or source.stem,
            replace=replace,
        )

    def remove(self, name: str) -> None:
        """Remove the weights of a model; raises NotFound if none are installed."""
        if not self._folder.remove(find_model_kind(name)):
            raise NotFound(f"model {name} is not installed in {self.root}")

    def all(self) -> list[ModelReport]:
        """List all kinds of models with their installed weights."""
        return [self._report(kind) for kind in KINDS]

    def check(self, name: str | None) -> list[ModelReport]:
        """Hash, load and try the weights of one model, or of all installed models.

        Image models are tried on a black image; a Whisper model is only loaded. Raises NotFound if
        the named model is not installed.
        """
        if name is None:
            return [self._try(report) for report in self.all() if report.model or report.fault]
        report = self._report(find_model_kind(name))
        if report.model is None and report.fault is None:
            raise NotFound(
                f"model {name} is not installed in {self.root}",
                expected=report.kind.source,
                got="none",
                hint=f"Add it: filmgate models add {name} {report.kind.form.upper()}",
            )
        return [self._try(report)]

    def resources(self, names: frozenset[str]) -> dict[str, Resource]:
        """Return the installed models among `names`, as resources of stages."""
        return self._folder.resources(names & {kind.name for kind in KINDS})

    def _report(self, kind: ModelKind) -> ModelReport:
        try:
            return ModelReport(kind=kind, model=self._folder.model(kind.name))
        except FilmgateError as error:
            return ModelReport(kind=kind, model=None, fault=str(error))

    def _try(self, report: ModelReport) -> ModelReport:
        if report.model is None:
            return report
        try:
            TRIALS[report.kind.name](self._folder.resource(report.model))
        except FilmgateError as error:
            return ModelReport(kind=report.kind, model=report.model, fault=str(error))
        return report


def _black(height: int, width: int) -> "Image":
    import numpy as np

    return np.zeros((height, width, 3), np.uint8)


TRIALS: Mapping[str, Callable[[Resource], object]] = {
    "yunet": lambda weights: YuNet(weights).detect(_black(120, 160)),
    "sface": lambda weights: SFace(weights).embed([_black(112, 112)]),
    "yolox": lambda weights: YoloX(weights).detect(_black(120, 160)),
    "rtdetr": lambda weights: RtDetr(weights).detect(_black(120, 160)),
    "places365": lambda weights: Places365(weights).classify(_black(120, 160)),
    "faster-whisper": FasterWhisper,
}
"""Functions that load a model and run it once, by kind of model."""
