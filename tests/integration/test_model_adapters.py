"""Adapters of models from the model folder, on small generated models of the same forms."""

from pathlib import Path

import numpy as np
import pytest

from filmgate.core.errors import Invalid
from filmgate.core.resources import Resource
from filmgate.media.boxes import Box
from filmgate.tools.decoding import SoundReader
from filmgate.tools.object_models import COCO, RtDetr, YoloX
from filmgate.tools.opencv_zoo import SFace, YuNet
from filmgate.tools.place_models import Places365
from filmgate.tools.speech import RATE, utterances
from filmgate.tools.weights import digest_of_weights
from filmgate.tools.whisper import FasterWhisper
from support import onnx_models
from support.whisper_model import whisper

TOLERANCE_PX = 0.01


def resource(name: str, path: Path) -> Resource:
    return Resource(name=name, sha256=digest_of_weights(path), path=path)


def near(one: Box, other: Box) -> bool:
    return all(abs(a - b) <= TOLERANCE_PX for a, b in zip(one, other, strict=True))


def test_yolox_grids_become_boxes_of_the_picture_that_was_shown(tmp_path: Path) -> None:
    model = YoloX(resource("yolox", onnx_models.yolox(tmp_path / "w.onnx", cell=19, label=2)))
    picture = np.zeros((64, 128, 3), np.uint8)  # shrunk to half on its way in
    (seen,) = model.detect(picture)
    assert (seen.label, seen.confidence) == ("car", 0.9)
    # cell 19 of 8 × 8 is column 3, row 2: its corner (24, 16) is the middle of 16 × 32
    assert near(seen.box, Box(32, 0, 32, 64))
    assert model.detect(picture) == [seen]


def test_rtdetr_boxes_are_those_of_the_picture_that_was_shown(tmp_path: Path) -> None:
    model = RtDetr(resource("rtdetr", onnx_models.rtdetr(tmp_path / "w.onnx")))
    (seen,) = model.detect(np.zeros((100, 200, 3), np.uint8))
    assert (seen.label, seen.confidence) == (COCO[16], 0.8)
    assert near(seen.box, Box(50, 25, 100, 50))


def test_places_are_told_by_their_labels_and_probabilities_add_up(tmp_path: Path) -> None:
    folder = onnx_models.places(tmp_path / "p", ["cave/indoor", "beer_hall", "sky"])
    model = Places365(resource("places365", folder))
    assert model.labels == ("cave, indoor", "beer hall", "sky")
    bright = model.classify(np.full((30, 40, 3), 255, np.uint8))
    dark = model.classify(np.zeros((30, 40, 3), np.uint8))
    assert [int(each.argmax()) for each in (bright, dark)] == [2, 0]
    assert abs(float(bright.sum()) - 1) < 1e-6


def test_yunet_faces_and_sface_vectors(tmp_path: Path) -> None:
    detector = YuNet(
        resource("yunet", onnx_models.yunet(tmp_path / "d.onnx", height=128, width=160))
    )
    picture = np.full((128, 160, 3), 90, np.uint8)
    (face,) = detector.detect(picture)
    assert near(face.box, Box(64, 32, 32, 32))
    assert face.confidence == 0.9
    assert len(face.landmarks) == 5
    embedder = SFace(resource("sface", onnx_models.sface(tmp_path / "e.onnx")))
    crop = embedder.crop(picture, face.box, face.landmarks)
    assert crop.shape == (112, 112, 3)
    vectors = embedder.embed([crop, crop])
    assert vectors.shape == (2, 128)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert embedder.embed([]).shape == (0, 128)


@pytest.mark.parametrize(
    ("adapter", "name"), [(YoloX, "yolox"), (RtDetr, "rtdetr"), (YuNet, "yunet"), (SFace, "sface")]
)
def test_weights_that_are_no_model_are_refused_by_name(
    tmp_path: Path, adapter: type[YoloX], name: str
) -> None:
    path = tmp_path / "w.onnx"
    path.write_bytes(b"not a model at all" * 10)
    with pytest.raises(Invalid, match=name):
        adapter(resource(name, path))


def test_a_model_of_another_form_is_refused(tmp_path: Path) -> None:
    path = onnx_models.sface(tmp_path / "w.onnx")
    with pytest.raises(Invalid, match="another kind of model"):
        RtDetr(resource("rtdetr", path))
    with pytest.raises(Invalid, match="another kind of model"):
        YoloX(resource("yolox", path)).detect(np.zeros((64, 64, 3), np.uint8))


def test_weights_that_changed_since_they_were_added_are_refused(tmp_path: Path) -> None:
    path = onnx_models.yolox(tmp_path / "w.onnx", cell=0, label=0)
    known = resource("yolox", path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(Invalid, match="changed since they were added"):
        YoloX(known)


def test_whisper_hears_each_utterance_where_it_is(test_data: Path, tmp_path: Path) -> None:
    model = FasterWhisper(resource("faster-whisper", whisper(tmp_path / "whisper")))
    sound = SoundReader(test_data / "speech/jfk.wav", rate=RATE)
    heard = list(model.recognise(sound))
    assert len(heard) > 1
    assert {each.text for each in heard} == {"gate is checked"}
    starts = [start * 1000 // RATE for start, _ in utterances(sound)]
    assert [(each.start_ms, each.end_ms) for each in heard] == [
        (start, start + 1000) for start in starts
    ]
    assert list(model.recognise(sound)) == heard
    assert list(model.recognise([np.zeros(RATE, np.int16)])) == []


def test_a_folder_that_is_no_whisper_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Invalid, match="cannot be used"):
        FasterWhisper(resource("faster-whisper", tmp_path))
