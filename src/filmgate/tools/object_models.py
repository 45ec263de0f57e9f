"""Object detectors of the COCO classes, from weights in the model folder: YOLOX and RT-DETR."""

from typing import TYPE_CHECKING, Any

from filmgate.core.plan import Producer
from filmgate.core.providers import Seen
from filmgate.core.resources import Resource
from filmgate.media.boxes import Box
from filmgate.tools.inference import OnnxModel, kept_apart, letterboxed
from filmgate.tools.weights import producer_of

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
"""The 80 classes, in the order of the models' outputs."""

STRIDES = (8, 16, 32)
"""Of YOLOX's three grids."""

FILL = 114
"""What YOLOX was trained to see beside a picture."""

MIN_CONFIDENCE, NMS_IOU = 0.3, 0.45
"""As YOLOX's own demo has them."""


class YoloX:
    """Ge and others (2021), in the ONNX form that its project exports: raw grids, no NMS inside."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._model = OnnxModel(resource)
        match tuple(self._model.inputs.items()):
            case ((name, (_, 3, height, width)),):
                self._input = name
                self._height, self._width = _side(height), _side(width)
            case _:
                raise self._model.misfit(f"inputs {self._model.inputs}")

    @property
    def producer(self) -> Producer:
        """The weights that were added."""
        return producer_of(self._resource)

    def detect(self, image: "Image") -> list[Seen]:
        """Everything above the least confidence, the surest first."""
        import numpy as np

        canvas, scale = letterboxed(image, self._width, self._height, FILL)
        pixels = np.ascontiguousarray(canvas.transpose(2, 0, 1)[None]).astype(np.float32)
        raw = next(iter(self._model.run(**{self._input: pixels}).values()))
        grid = _grid(self._width, self._height)
        if raw.shape != (1, len(grid), 5 + len(COCO)):
            raise self._model.misfit(f"an output of shape {raw.shape}")
        rows = raw[0]
        centres = (rows[:, :2] + grid[:, :2]) * grid[:, 2:]
        sizes = np.exp(np.minimum(rows[:, 2:4], 20.0)) * grid[:, 2:]
        boxes = np.concatenate([centres - sizes / 2, sizes], axis=1) / scale
        scores = rows[:, 4:5] * rows[:, 5:]
        return _seen(boxes, scores.argmax(axis=1), scores.max(axis=1))


class RtDetr:
    """Zhao and others (2023), in the ONNX form that its project exports: boxes come ready."""

    SIZE = 640

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._model = OnnxModel(resource)
        if {"images", "orig_target_sizes"} - set(self._model.inputs) or {
            "labels",
            "boxes",
            "scores",
        } - set(self._model.outputs):
            raise self._model.misfit(f"inputs {self._model.inputs}, outputs {self._model.outputs}")

    @property
    def producer(self) -> Producer:
        """The weights that were added."""
        return producer_of(self._resource)

    def detect(self, image: "Image") -> list[Seen]:
        """Everything above the least confidence, the surest first."""
        import cv2  # heavy
        import numpy as np

        height, width = image.shape[:2]
        square: Any = cv2.resize(image, (self.SIZE, self.SIZE), interpolation=cv2.INTER_LINEAR)
        pixels = square[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32) / 255
        found = self._model.run(
            images=np.ascontiguousarray(pixels),
            orig_target_sizes=np.array([[width, height]], dtype=np.int64),
        )
        labels, corners, scores = (found[name][0] for name in ("labels", "boxes", "scores"))
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        return _seen(boxes, labels, scores)


def _side(size: Any) -> int:
    """Pixels of one side of the input; YOLOX's own 640 where the model takes any."""
    return size if isinstance(size, int) else 640


def _grid(width: int, height: int) -> "NDArray[np.float32]":
    """(n, 3): column, row and stride of each cell, in the order of YOLOX's output."""
    import numpy as np

    parts = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        strides = np.full(rows.size, stride)
        parts.append(np.stack([columns.ravel(), rows.ravel(), strides], axis=1))
    return np.concatenate(parts).astype(np.float32)


def _seen(boxes: "NDArray[Any]", labels: "NDArray[Any]", scores: "NDArray[Any]") -> list[Seen]:
    """What is sure enough, each thing once: of boxes (n, 4) x y width height."""
    import numpy as np

    sure = (scores >= MIN_CONFIDENCE) & np.isfinite(boxes).all(axis=1)
    sure &= (labels >= 0) & (labels < len(COCO))
    boxes, labels, scores = boxes[sure], labels[sure].astype(int), scores[sure]
    apart = boxes + labels[:, None] * np.array([[1e5, 1e5, 0, 0]])  # classes do not compete
    return [
        Seen(
            COCO[labels[each]], round(min(float(scores[each]), 1.0), 4), Box(*boxes[each].tolist())
        )
        for each in kept_apart(apart, scores, NMS_IOU)
    ]
