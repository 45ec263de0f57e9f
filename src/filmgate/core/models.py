"""The models that can be added: what each is for, in which form it comes, and where from."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from filmgate.core.envelope import Sha256
from filmgate.core.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """A model that stages look for by its name."""

    name: str
    task: str
    form: Literal["file", "folder"]
    get: str
    """What to look for, and where its makers publish it."""
    licence: str
    """As its makers state it; whoever adds weights says theirs."""


KINDS = (
    ModelKind(
        name="yunet",
        task="finds faces, also small and turned ones (stage detect)",
        form="file",
        get="face_detection_yunet_2023mar.onnx of the OpenCV Zoo",
        licence="MIT",
    ),
    ModelKind(
        name="sface",
        task="tells people apart by their faces, where yunet found them (stage faces)",
        form="file",
        get="face_recognition_sface_2021dec.onnx of the OpenCV Zoo",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="yolox",
        task="finds bodies and 79 other things (stages body_tracking and objects)",
        form="file",
        get="yolox_tiny.onnx or larger, of the releases of Megvii's YOLOX",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="rtdetr",
        task="finds bodies and 79 other things, better and slower",
        form="file",
        get="an ONNX export by the project RT-DETR (lyuwenyu), with its post-processing",
        licence="Apache-2.0",
    ),
    ModelKind(
        name="places365",
        task="tells where a scene is set (stage places)",
        form="folder",
        get="an ONNX export of resnet18_places365 (CSAILVision), and its "
        "categories_places365.txt, in one folder",
        licence="MIT (code), CC BY (weights)",
    ),
    ModelKind(
        name="faster-whisper",
        task="writes down what is said (stage transcript); needs filmgate[whisper]",
        form="folder",
        get="a Whisper model in CTranslate2's form, such as Systran's faster-whisper-small",
        licence="MIT",
    ),
)


class InstalledModel(BaseModel):
    """`model.json`: weights that were added to the model folder."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    schema_version: Literal[1] = 1
    name: str
    weights: str
    """The file or folder beside this one."""
    sha256: Sha256
    size_bytes: int = Field(ge=0)
    licence: str
    version: str


def kind_of(name: str) -> ModelKind:
    """The kind of that name, or NotFound saying which there are."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise NotFound(f"no model is called {name!r}", expected=f"one of {known}", got=repr(name))
