"""ONNX models, run by ONNX Runtime on the CPU: the same numbers every time."""

from typing import TYPE_CHECKING, Any

from filmgate.core.errors import Invalid
from filmgate.core.resources import Resource
from filmgate.tools.weights import weights_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXTERNAL = "session.model_external_initializers_file_folder_path"
"""Where a model that keeps its weights beside it finds them; otherwise that is wherever the
program was started, and no digest covers it."""

THREADS = 2
"""Of one model; more only help where nothing else runs."""


class OnnxModel:
    """A loaded model, by the names and shapes of its inputs and outputs."""

    def __init__(self, resource: Resource, data: bytes | None = None) -> None:
        """Load weights (`data`, where they are read already); Invalid where they are no model."""
        import onnxruntime as ort  # heavy

        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = 3
        folder = resource.path if resource.path.is_dir() else resource.path.parent
        options.add_session_config_entry(EXTERNAL, str(folder))
        self._resource = resource
        try:
            self._session: Any = ort.InferenceSession(
                data if data is not None else weights_of(resource),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # the library raises many kinds, each its own
            if isinstance(error, Invalid):
                raise
            raise Invalid(
                f"the weights of {resource.name} are no ONNX model",
                expected="a model that ONNX Runtime loads",
                got=str(error).splitlines()[0][:200],
            ) from error
        self.inputs = {each.name: tuple(each.shape) for each in self._session.get_inputs()}
        self.outputs = {each.name: tuple(each.shape) for each in self._session.get_outputs()}

    def run(self, **inputs: "NDArray[Any]") -> "dict[str, NDArray[Any]]":
        """All outputs, by name; Invalid where the model does not take these inputs."""
        try:
            values = self._session.run(None, inputs)
        except Exception as error:
            raise self.misfit(str(error).splitlines()[0][:200]) from error
        return dict(zip(self.outputs, values, strict=True))

    def misfit(self, got: str) -> Invalid:
        """What to raise where the model is of another kind than its name says."""
        return Invalid(
            f"the weights of {self._resource.name} are of another kind of model",
            expected=f"inputs and outputs as {self._resource.name} has them",
            got=got,
            hint="filmgate models list tells which file belongs under which name",
        )


def letterboxed(
    image: "NDArray[np.uint8]", width: int, height: int, fill: int
) -> "tuple[NDArray[np.uint8], float]":
    """The picture shrunk or grown into the top left of (height, width), and by how much."""
    import cv2  # heavy
    import numpy as np

    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas = np.full((height, width, 3), fill, dtype=np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def kept_apart(boxes: "NDArray[Any]", scores: "NDArray[Any]", iou: float) -> list[int]:
    """Non-maximum suppression: which boxes (n, 4: x y width height) stay, the surest first."""
    import cv2  # heavy

    if not len(boxes):
        return []
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, iou)
    return [int(each) for each in kept]
