"""The models that can be installed: their tasks, forms and sources."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.envelope import Sha256
from filmgate.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """A model that stages load by its name."""

    name: str
    task: str
    form: Literal["file", "folder"]
    source: str
    """Name of the weights, and where their authors publish them."""
    licence: str
    """Licence according to the authors; users state the licence of weights that they install."""


KINDS = (
    ModelKind(
        name="yunet",
        task="detects faces, including small and rotated ones (stage detect)",
        form="file",
        source="face_detection_yunet_2023mar.onnx of the OpenCV Zoo",
        licence="MIT",
    ),
    ModelKind(
        name="sface",
        task="computes embeddings of faces that yunet found (stage faces)",
        form="file",
        source="face_recognition_sface_2021dec.onnx of the OpenCV Zoo",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="yolox",
        task="detects people and 79 other kinds of object (stages body_tracking and objects)",
        form="file",
        source="yolox_tiny.onnx or larger, from the releases of Megvii's YOLOX",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="rtdetr",
        task="detects people and 79 other kinds of object; better and slower than yolox",
        form="file",
        source="an ONNX export of the RT-DETR project (lyuwenyu), with its post-processing",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="places365",
        task="classifies the place of a scene (stage places)",
        form="folder",
        source="an ONNX export of resnet18_places365 (CSAILVision) and its "
        "categories_places365.txt in one folder",
        licence="MIT (code), CC BY (weights)",
    ),
    ModelKind(
        name="faster-whisper",
        task="transcribes speech (stage transcript); requires filmgate[whisper]",
        form="folder",
        source="a Whisper model in CTranslate2 format, such as Systran's faster-whisper-small",
        licence="MIT",
    ),
)


class InstalledModel(BaseModel):
    """`model.json`: weights that were installed into the model folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: Literal[1] = 1
    name: str
    weights: str
    """Name of the weights' file or folder, beside `model.json`."""
    sha256: Sha256
    size_bytes: int = Field(ge=0)
    licence: str
    version: str


def find_model_kind(name: str) -> ModelKind:
    """Return the model kind with a name. Raises NotFound, which lists all names, without one."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise NotFound(f"model {name!r} does not exist", expected=f"one of {known}", got=repr(name))
