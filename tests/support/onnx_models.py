"""Generate small models with the inputs and outputs of real ones, and constant results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
"""Side of the generated YOLOX's input in pixels, for three grids of 8, 4 and 2 cells a side."""

Constants = Mapping[str, NDArray[Any]]
"""Name → value of constant tensors."""


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Constants,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "generated",
        list(inputs),
        list(outputs),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def image_input(name: str, height: int, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, height, width])


def float_tensor(name: str, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def save_constant_model(path: Path, source: Any, name: str, results: Constants) -> Path:
    """Write a model that returns the same results for any input."""
    nodes = [
        helper.make_node("GlobalAveragePool", [name], ["pooled"]),
        helper.make_node("ReduceMean", ["pooled"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(
            helper.make_node("Add", [f"constant_{output}", "nothing"], [output])
            for output in results
        ),
    ]
    constants = {
        f"constant_{output}": value.astype(np.float32) for output, value in results.items()
    }
    outputs = [float_tensor(output, *value.shape) for output, value in results.items()]
    return save(path, nodes, [source], outputs, {**constants, "zero": np.zeros(1, np.float32)})


def yolox(path: Path, *, cell: int, label: int) -> Path:
    """Write a YOLOX that detects one object of 16 × 32 pixels, centred on the corner of a cell of
    the finest grid."""
    cells = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
    raw = np.zeros((1, cells, 85), np.float32)
    raw[0, cell, 2:4] = np.log([2.0, 4.0])
    raw[0, cell, 4], raw[0, cell, 5 + label] = 0.9, 1.0
    return save_constant_model(path, image_input("images", SIDE, SIDE), "images", {"output": raw})


def rtdetr(path: Path) -> Path:
    """Write an RT-DETR that detects one dog, in the middle quarter of any picture."""
    share = np.array([[[0.25, 0.25, 0.75, 0.75]]], np.float32)
    nodes = [
        helper.make_node("Cast", ["orig_target_sizes"], ["size"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["size", "size"], ["sizes"], axis=1),
        helper.make_node("Mul", ["sizes", "share"], ["boxes"]),
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("ReduceMean", ["pooled"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["score", "nothing"], ["scores"]),
        helper.make_node("Identity", ["label"], ["labels"]),
    ]
    return save(
        path,
        nodes,
        [
            image_input("images", 640, 640),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]),
        ],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 1]),
            float_tensor("boxes", 1, 1, 4),
            float_tensor("scores", 1, 1),
        ],
        {
            "share": share,
            "score": np.array([[0.8]], np.float32),
            "label": np.array([[16]], np.int64),
            "zero": np.zeros(1, np.float32),
        },
    )


def places(folder: Path, labels: Sequence[str]) -> Path:
    """Write a Places365 folder whose model gives bright pictures the last of the labels, and dark
    ones the first."""
    folder.mkdir(parents=True)
    weight = np.zeros((3, len(labels)), np.float32)
    weight[:, 0], weight[:, -1] = -1, 1
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["output"]),
    ]
    save(
        folder / "resnet18_places365.onnx",
        nodes,
        [image_input("input", 224, 224)],
        [float_tensor("output", 1, len(labels))],
        {"weight": weight},
    )
    lines = [f"/{label[0]}/{label} {number}" for number, label in enumerate(labels)]
    (folder / "categories_places365.txt").write_text("\n".join(lines) + "\n")
    return folder


def yunet(path: Path, *, height: int, width: int) -> Path:
    """Write a YuNet that detects a face of 32 × 32 pixels at (64, 32), in pictures of this size."""
    results: dict[str, NDArray[np.float32]] = {}
    for stride in (8, 16, 32):
        cells = (height // stride) * (width // stride)
        for name, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            results[f"{name}_{stride}"] = np.zeros((1, cells, size), np.float32)
    cell = (48 // 16) * (width // 16) + 80 // 16
    results["cls_16"][0, cell] = results["obj_16"][0, cell] = 0.9
    results["bbox_16"][0, cell] = [0, 0, np.log(2), np.log(2)]
    points = [(-0.5, -0.5), (0.5, -0.5), (0, 0), (-0.5, 0.5), (0.5, 0.5)]
    results["kps_16"][0, cell] = np.array(points, np.float32).ravel()
    return save_constant_model(path, image_input("input", height, width), "input", results)


def sface(path: Path) -> Path:
    """Write an SFace whose vectors are the mean colour of a face."""
    weight = np.zeros((3, 128), np.float32)
    weight[0, 0] = weight[1, 1] = weight[2, 2] = 1
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["fc1"]),
    ]
    return save(
        path,
        nodes,
        [image_input("data", 112, 112)],
        [float_tensor("fc1", 1, 128)],
        {"weight": weight},
    )
