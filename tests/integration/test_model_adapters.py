"""Adapters of models from the model folder, tested with small generated models."""

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
from support.whisper_model import write_whisper_model

TOLERANCE_PX = 0.01


def resource(name: str, path: Path) -> Resource:
    return Resource(name=name, sha256=digest_of_weights(path), path=path)


def is_near(box: Box, expected: Box) -> bool:
    return all(abs(a - b) <= TOLERANCE_PX for a, b in zip(box, expected, strict=True))


def test_yolox_boxes_are_in_pixels_of_the_original_picture(tmp_path: Path) -> None:
    model = YoloX(resource("yolox", onnx_models.yolox(tmp_path / "w.onnx", cell=19, label=2)))
    picture = np.zeros((64, 128, 3), np.uint8)  # scaled to half its size for the model
    (detected,) = model.detect(picture)
    assert (detected.label, detected.confidence) == ("car", 0.9)
    # cell 19 of 8 × 8 is column 3, row 2: its corner (24, 16) is the centre of 16 × 32
    assert is_near(detected.box, Box(32, 0, 32, 64))
    assert model.detect(picture) == [detected]


def test_rtdetr_boxes_are_in_pixels_of_the_original_picture(tmp_path: Path) -> None:
    model = RtDetr(resource("rtdetr", onnx_models.rtdetr(tmp_path / "w.onnx")))
    (detected,) = model.detect(np.zeros((100, 200, 3), np.uint8))
    assert (detected.label, detected.confidence) == (COCO[16], 0.8)
    assert is_near(detected.box, Box(50, 25, 100, 50))


def test_places_have_readable_labels_and_probabilities_that_add_up_to_1(tmp_path: Path) -> None:
    folder = onnx_models.places(tmp_path / "p", ["cave/indoor", "beer_hall", "sky"])
    model = Places365(resource("places365", folder))
    assert model.labels == ("cave, indoor", "beer hall", "sky")
    bright = model.classify(np.full((30, 40, 3), 255, np.uint8))
    dark = model.classify(np.zeros((30, 40, 3), np.uint8))
    assert (int(bright.argmax()), int(dark.argmax())) == (2, 0)
    assert abs(float(bright.sum()) - 1) < 1e-6


def test_yunet_finds_faces_of_which_sface_computes_unit_vectors(tmp_path: Path) -> None:
    detector = YuNet(
        resource("yunet", onnx_models.yunet(tmp_path / "d.onnx", height=128, width=160))
    )
    picture = np.full((128, 160, 3), 90, np.uint8)
    (face,) = detector.detect(picture)
    assert is_near(face.box, Box(64, 32, 32, 32))
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
def test_the_error_for_weights_that_are_not_a_model_names_them(
    tmp_path: Path, adapter: type[YoloX], name: str
) -> None:
    path = tmp_path / "w.onnx"
    path.write_bytes(b"not a model at all" * 10)
    with pytest.raises(Invalid, match=name):
        adapter(resource(name, path))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
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


def test_whisper_segments_have_the_times_of_their_utterances(
    test_data: Path, tmp_path: Path
) -> None:
    model = FasterWhisper(resource("faster-whisper", write_whisper_model(tmp_path / "whisper")))
    sound = SoundReader(test_data / "speech/jfk.wav", rate=RATE)
    segments = list(model.recognise(sound))
    assert len(segments) > 1
    assert {segment.text for segment in segments} == {"gate is checked"}
    starts = [start * 1000 // RATE for start, _ in utterances(sound)]
    assert [(segment.start_ms, segment.end_ms) for segment in segments] == [
        (start, start + 1000) for start in starts
    ]
    assert list(model.recognise(sound)) == segments
    assert list(model.recognise([np.zeros(RATE, np.int16)])) == []


def test_a_folder_that_is_not_a_whisper_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Invalid, match="cannot be used"):
        FasterWhisper(resource("faster-whisper", tmp_path))
