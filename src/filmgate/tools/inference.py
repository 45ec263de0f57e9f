"""Run ONNX models with ONNX Runtime on the CPU, with the same results every time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from filmgate.core.errors import Invalid
from filmgate.core.resources import Resource
from filmgate.tools.weights import read_weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from filmgate.core.providers import Vectors

EXTERNAL = "session.model_external_initializers_file_folder_path"
"""ONNX Runtime option: the folder of a model's external weights. The default is the working
directory, whose files are not verified by a digest."""

THREADS = 2
"""Number of threads per model; more threads only help if nothing else runs."""


class _OnnxNode(Protocol):
    """One input or output of a model."""

    name: str
    shape: Sequence[int | str | None]
    """Size of each dimension, or its name if the model accepts any size."""


class _OnnxSession(Protocol):
    """What is used of ONNX Runtime's session; the library has no types."""

    def get_inputs(self) -> Sequence[_OnnxNode]: ...
    def get_outputs(self) -> Sequence[_OnnxNode]: ...
    def run(
        self, output_names: None, inputs: "Mapping[str, NDArray[np.generic]]"
    ) -> "Sequence[NDArray[Any]]": ...


class OnnxModel:
    """A loaded model, with the names and shapes of its inputs and outputs."""

    def __init__(self, resource: Resource, data: bytes | None = None) -> None:
        """Load a model. Raises Invalid if ONNX Runtime cannot load it.

        `data`: the model file's bytes, if they were read already; else they are read and verified.
        """
        import onnxruntime as ort  # slow to import

        options = ort.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.log_severity_level = 3
        folder = resource.path if resource.path.is_dir() else resource.path.parent
        options.add_session_config_entry(EXTERNAL, str(folder))
        self._resource = resource
        try:
            self._session: _OnnxSession = ort.InferenceSession(
                data if data is not None else read_weights(resource),
                options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # the library raises many unrelated exception types
            if isinstance(error, Invalid):
                raise
            raise Invalid(
                f"the weights of {resource.name} are not an ONNX model",
                expected="a model that ONNX Runtime loads",
                got=str(error).splitlines()[0][:200],
            ) from error
        self.inputs = {node.name: tuple(node.shape) for node in self._session.get_inputs()}
        self.outputs = {node.name: tuple(node.shape) for node in self._session.get_outputs()}

    def run(self, **inputs: "NDArray[np.generic]") -> "dict[str, NDArray[Any]]":
        """Return all outputs by name; raise Invalid if the model does not accept the inputs."""
        try:
            values = self._session.run(None, inputs)
        except Exception as error:
            raise self.wrong_model(str(error).splitlines()[0][:200]) from error
        return dict(zip(self.outputs, values, strict=True))

    def wrong_model(self, got: str) -> Invalid:
        """Make the error for a model of another kind than its name says."""
        return Invalid(
            f"the weights of {self._resource.name} are another kind of model",
            expected=f"the inputs and outputs of {self._resource.name}",
            got=got,
            hint="Run filmgate models list to see which file belongs to which name",
        )


def letterbox(
    image: "NDArray[np.uint8]", width: int, height: int, fill: int
) -> "tuple[NDArray[np.uint8], float]":
    """Scale a picture to fit into (height, width); return the result and the scale factor.

    The picture is at the top left; the rest has the grey level `fill`.
    """
    import cv2  # slow to import
    import numpy as np

    scale = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    canvas = np.full((height, width, 3), fill, dtype=np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def suppress_non_maxima(boxes: "NDArray[np.float64]", scores: "Vectors", iou: float) -> list[int]:
    """Return the indices of the boxes that remain after non-maximum suppression, best first.

    `boxes`: (n, 4), x y width height.
    """
    import cv2  # slow to import

    if not len(boxes):
        return []
    indices = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, iou)
    return [int(index) for index in indices]
