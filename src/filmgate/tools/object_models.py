"""Object detectors for the COCO classes, YOLOX and RT-DETR, with weights from the model folder."""

from typing import TYPE_CHECKING

from filmgate.core.providers import DetectedObject
from filmgate.core.resources import Resource
from filmgate.media.boxes import Box
from filmgate.tools.inference import OnnxModel, letterbox, suppress_non_maxima
from filmgate.tools.weights import model_producer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from filmgate.core.providers import Image

_NAMES = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,"
    "backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,"
    "baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,"
    "bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,"
    "oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
)
COCO = tuple(_NAMES.split(","))
"""The 80 class names, in the order of the models' outputs."""

STRIDES = (8, 16, 32)
"""Cell sizes of YOLOX's three grids, in pixels."""

FILL = 114
"""Grey level of the letterbox border with which YOLOX was trained."""

MIN_CONFIDENCE, NMS_IOU = 0.3, 0.45
"""Values of YOLOX's demo."""


class YoloX:
    """The detector YOLOX (Ge et al. 2021), in the ONNX format that its project exports.

    It outputs raw grids, without non-maximum suppression.
    """

    def __init__(self, resource: Resource) -> None:
        self.producer = model_producer(resource)
        self._model = OnnxModel(resource)
        match tuple(self._model.inputs.items()):
            case ((name, (_, 3, height, width)),):
                self._input = name
                self._height, self._width = _side(height), _side(width)
            case _:
                raise self._model.wrong_model(f"inputs {self._model.inputs}")

    def detect(self, image: "Image") -> list[DetectedObject]:
        """Return the objects above `MIN_CONFIDENCE`, the most confident first."""
        import numpy as np

        canvas, scale = letterbox(image, self._width, self._height, FILL)
        pixels = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]).astype(np.float32)
        raw = next(iter(self._model.run(**{self._input: pixels}).values()))
        grid = _grid(self._width, self._height)
        if raw.shape != (1, len(grid), 5 + len(COCO)):
            raise self._model.wrong_model(f"an output of shape {raw.shape}")
        rows = raw[0]
        centres = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
        sizes = np.exp(np.minimum(rows[:, 2:4], 20.0)) * grid[:, 2:]
        boxes = np.concatenate([centres - sizes / 2, sizes], axis=1) / scale
        scores = rows[:, 4:5] * rows[:, 5:]
        return _select_objects(boxes, scores.argmax(axis=1), scores.max(axis=1))


class RtDetr:
    """The detector RT-DETR (Zhao et al. 2023), in its project's ONNX format; it outputs boxes."""

    SIZE = 640

    def __init__(self, resource: Resource) -> None:
        self.producer = model_producer(resource)
        self._model = OnnxModel(resource)
        if {"images", "orig_target_sizes"} - set(self._model.inputs) or {
            "labels",
            "boxes",
            "scores",
        } - set(self._model.outputs):
            raise self._model.wrong_model(
                f"inputs {self._model.inputs}, outputs {self._model.outputs}"
            )

    def detect(self, image: "Image") -> list[DetectedObject]:
        """Return the objects above `MIN_CONFIDENCE`, the most confident first."""
        import cv2  # slow to import
        import numpy as np

        height, width = image.shape[:2]
        square = cv2.resize(image, (self.SIZE, self.SIZE), interpolation=cv2.INTER_LINEAR)
        pixels = square[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        outputs = self._model.run(
            images=np.ascontiguousarray(pixels),
            orig_target_sizes=np.array([[width, height]], dtype=np.int64),
        )
        labels, corners, scores = (outputs[name][0] for name in ("labels", "boxes", "scores"))
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return _select_objects(boxes, labels, scores)


def _side(size: int | str | None) -> int:
    """Return one side of the input in pixels; YOLOX's default 640 if the model accepts any size."""
    return size if isinstance(size, int) else 640


def _grid(width: int, height: int) -> "NDArray[np.float32]":
    """Return (n, 3): column, row and stride of each cell, in the order of YOLOX's output."""
    import numpy as np

    parts = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        strides = np.full(rows.size, stride)
        parts.append(np.stack([columns.ravel(), rows.ravel(), strides], axis=1))
    return np.concatenate(parts).astype(np.float32)


def _select_objects(
    boxes: "NDArray[np.floating]", labels: "NDArray[np.int64]", scores: "NDArray[np.float32]"
) -> list[DetectedObject]:
    """Return the boxes (n, 4: x y width height) of sufficient confidence, one per object."""
    import numpy as np

    is_valid = (scores >= MIN_CONFIDENCE) & np.isfinite(boxes).all(axis=1)
    is_valid &= (labels >= 0) & (labels < len(COCO))
    boxes, labels, scores = boxes[is_valid], labels[is_valid].astype(int), scores[is_valid]
    # shifted by class, so that boxes of different classes do not overlap
    shifted = boxes + labels[:, None] * np.array([[1e5, 1e5, 0, 0]])
    return [
        DetectedObject(
            COCO[labels[index]],
            round(min(float(scores[index]), 1.0), 4),
            Box(*boxes[index].tolist()),
        )
        for index in suppress_non_maxima(shifted, scores, NMS_IOU)
    ]
