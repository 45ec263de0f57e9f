"""Small generated models in the forms of real ones: right shapes, made-up answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
"""Of the generated YOLOX: three grids of 8, 4 and 2 cells a side."""

Fixed = Mapping[str, NDArray[Any]]


def save(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    fixed: Fixed,
) -> Path:
    graph = helper.make_graph(
        list(nodes),
        "generated",
        list(inputs),
        list(outputs),
        [numpy_helper.from_array(value, name) for name, value in fixed.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def image_input(name: str, height: int, width: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, height, width])


def floats(name: str, *shape: int) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def constant_answers(path: Path, source: Any, name: str, answers: Fixed) -> Path:
    """A model that says the same whatever it sees; the input counts for nothing."""
    nodes = [
        helper.make_node("GlobalAveragePool", [name], ["pooled"]),
        helper.make_node("ReduceMean", ["pooled"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        *(helper.make_node("Add", [f"fixed_{each}", "nothing"], [each]) for each in answers),
    ]
    fixed = {f"fixed_{each}": value.astype(np.float32) for each, value in answers.items()}
    outputs = [floats(each, *value.shape) for each, value in answers.items()]
    return save(path, nodes, [source], outputs, {**fixed, "zero": np.zeros(1, np.float32)})


def yolox(path: Path, *, cell: int, label: int) -> Path:
    """Sees one thing: centred on the corner of a cell of the finest grid, 16 × 32 pixels."""
    cells = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))
    raw = np.zeros((1, cells, 85), np.float32)
    raw[0, cell, 2:4] = np.log([2.0, 4.0])
    raw[0, cell, 4], raw[0, cell, 5 + label] = 0.9, 1.0
    return constant_answers(path, image_input("images", SIDE, SIDE), "images", {"output": raw})


def rtdetr(path: Path) -> Path:
    """Sees one dog, in the middle quarter of whatever it is shown."""
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
            floats("boxes", 1, 1, 4),
            floats("scores", 1, 1),
        ],
        {
            "share": share,
            "score": np.array([[0.8]], np.float32),
            "label": np.array([[16]], np.int64),
            "zero": np.zeros(1, np.float32),
        },
    )


def places(folder: Path, labels: Sequence[str]) -> Path:
    """Calls bright pictures by the last of the labels, dark ones by the first."""
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
        [floats("output", 1, len(labels))],
        {"weight": weight},
    )
    lines = [f"/{label[0]}/{label} {number}" for number, label in enumerate(labels)]
    (folder / "categories_places365.txt").write_text("\n".join(lines) + "\n")
    return folder


def yunet(path: Path, *, height: int, width: int) -> Path:
    """Sees one face of 32 × 32 pixels at (64, 32), in pictures of this size."""
    answers: dict[str, NDArray[np.float32]] = {}
    for stride in (8, 16, 32):
        cells = (height // stride) * (width // stride)
        for name, size in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            answers[f"{name}_{stride}"] = np.zeros((1, cells, size), np.float32)
    cell = (48 // 16) * (width // 16) + 80 // 16
    answers["cls_16"][0, cell] = answers["obj_16"][0, cell] = 0.9
    answers["bbox_16"][0, cell] = [0, 0, np.log(2), np.log(2)]
    points = [(-0.5, -0.5), (0.5, -0.5), (0, 0), (-0.5, 0.5), (0.5, 0.5)]
    answers["kps_16"][0, cell] = np.array(points, np.float32).ravel()
    return constant_answers(path, image_input("input", height, width), "input", answers)


def sface(path: Path) -> Path:
    """Vectors that tell the mean colour of a face."""
    weight = np.zeros((3, 128), np.float32)
    weight[0, 0] = weight[1, 1] = weight[2, 2] = 1
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["fc1"]),
    ]
    return save(
        path, nodes, [image_input("data", 112, 112)], [floats("fc1", 1, 128)], {"weight": weight}
    )
