"""The models that are there: added, listed, checked, handed to the stages that look for them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filmgate.app.settings import Settings
from filmgate.core.errors import FilmgateError, NotFound, Unavailable
from filmgate.core.models import KINDS, InstalledModel, ModelKind, kind_of
from filmgate.core.resources import Resource
from filmgate.store.model_folder import ModelFolder
from filmgate.tools.weights import digest_of_weights

UNKNOWN = "not stated"
"""The licence of weights whose owner did not say it."""


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """A kind of model, and the weights of it that are there."""

    kind: ModelKind
    model: InstalledModel | None
    fault: str | None = None
    """What is wrong with it."""


class Models:
    """The model folder of these settings."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.models or settings.home / "models"
        self._folder = ModelFolder(folder.expanduser(), digest_of_weights)

    @property
    def root(self) -> Path:
        """Where the models live."""
        return self._folder.root

    def add(
        self, name: str, source: Path, *, licence: str | None, version: str | None, replace: bool
    ) -> InstalledModel:
        """Copy weights in under a known name, once they were loaded and tried."""
        kind = kind_of(name)

        def tried(resource: Resource) -> None:
            with suppress(Unavailable):  # the program that runs them may be installed later
                TRIALS[name](resource)

        return self._folder.add(
            kind,
            source,
            tried=tried,
            licence=licence or UNKNOWN,
            version=version or source.stem,
            replace=replace,
        )

    def remove(self, name: str) -> None:
        """Take weights away; NotFound where there are none."""
        if not self._folder.remove(kind_of(name)):
            raise NotFound(f"there is no model {name} in {self.root}")

    def all(self) -> list[ModelReport]:
        """Every kind, and what is there of it."""
        return [self._report(kind) for kind in KINDS]

    def check(self, name: str | None) -> list[ModelReport]:
        """Read the weights again, load them and try them on an empty picture (a Whisper model is
        loaded only); of one model, or of all that are there. NotFound where it is not."""
        if name is None:
            return [self._tried(each) for each in self.all() if each.model or each.fault]
        report = self._report(kind_of(name))
        if report.model is None and report.fault is None:
            raise NotFound(
                f"there is no model {name} in {self.root}",
                expected=report.kind.get,
                got="none",
                hint=f"filmgate models add {name} {report.kind.form.upper()}",
            )
        return [self._tried(report)]

    def resources(self, names: frozenset[str]) -> dict[str, Resource]:
        """Those of the named models that are there."""
        return self._folder.resources(names & {kind.name for kind in KINDS})

    def _report(self, kind: ModelKind) -> ModelReport:
        try:
            return ModelReport(kind=kind, model=self._folder.model(kind.name))
        except FilmgateError as error:
            return ModelReport(kind=kind, model=None, fault=str(error))

    def _tried(self, report: ModelReport) -> ModelReport:
        if report.model is None:
            return report
        try:
            TRIALS[report.kind.name](self._folder.resource(report.model))
        except FilmgateError as error:
            return ModelReport(kind=report.kind, model=report.model, fault=str(error))
        return report


def _try_yunet(resource: Resource) -> None:
    import numpy as np

    from filmgate.tools.opencv_zoo import YuNet

    YuNet(resource).detect(np.zeros((120, 160, 3), np.uint8))


def _try_sface(resource: Resource) -> None:
    import numpy as np

    from filmgate.tools.opencv_zoo import SFace

    SFace(resource).embed([np.zeros((112, 112, 3), np.uint8)])


def _try_yolox(resource: Resource) -> None:
    import numpy as np

    from filmgate.tools.object_models import YoloX

    YoloX(resource).detect(np.zeros((120, 160, 3), np.uint8))


def _try_rtdetr(resource: Resource) -> None:
    import numpy as np

    from filmgate.tools.object_models import RtDetr

    RtDetr(resource).detect(np.zeros((120, 160, 3), np.uint8))


def _try_places365(resource: Resource) -> None:
    import numpy as np

    from filmgate.tools.place_models import Places365

    Places365(resource).classify(np.zeros((120, 160, 3), np.uint8))


def _try_whisper(resource: Resource) -> None:
    from filmgate.tools.whisper import FasterWhisper

    FasterWhisper(resource)


TRIALS: Mapping[str, Callable[[Resource], None]] = {
    "yunet": _try_yunet,
    "sface": _try_sface,
    "yolox": _try_yolox,
    "rtdetr": _try_rtdetr,
    "places365": _try_places365,
    "faster-whisper": _try_whisper,
}
"""Load each kind of model, and run it once."""
