"""Extraction of single archives: good ones and every kind of bad one."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from filmgate.core.errors import FilmgateError, NotFound
from filmgate.engine.executors.process_pool import ProcessPool
from filmgate.pipelines.gameplay.archive_worker import ExtractionResult, extract_archive
from filmgate.pipelines.gameplay.contracts import ExtractionTask, GameItem
from filmgate.pipelines.gameplay.extracted import ExtractedFile
from filmgate.pipelines.gameplay.row_builder import build_rows
from filmgate.pipelines.gameplay.settings import ExtractionSettings, ManifestSettings
from filmgate.store.addresses import S3Options, open_store
from filmgate.tools.byte_ranges import FileByteRanges
from filmgate.tools.sample_sessions import (
    METADATA,
    draw_world,
    inputs_csv,
    open_recording,
    write_tar,
)
from filmgate.tools.sample_sessions import session_tar as tar_of_session
from filmgate.tools.torch_files.reading import PtFile
from support.films import write_tone
from support.items import exceed_memory, loop_until_timeout, read_slow_video

SIZE = (96, 54)
FRAMES = 90
LOG = inputs_csv([(0.5, "KEYBOARD", "[87,true]")])


def session_tar(path: Path, video: Path, inputs: bytes = LOG) -> Path:
    return tar_of_session(path, video, inputs=inputs)


OPEN = partial(open_store, options=S3Options())


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    with open_recording(path, SIZE) as write:
        for number in range(FRAMES):
            write(draw_world(number, SIZE))
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """The folder of the `.pt` files; checks that nothing is written elsewhere and no temporary
    file remains."""
    yield tmp_path / "out"
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "out"}
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


@pytest.fixture
def run(source: Path, target: Path) -> Callable[..., ExtractionResult]:
    def do(key: str, **settings: object) -> ExtractionResult:
        extraction = ExtractionSettings(
            source_bucket=str(source), manifest_bucket=str(target), shorter_side=32, **settings
        )
        return extract_archive(ExtractionTask(key=key), open_store=OPEN, settings=extraction)

    return do


def open_file(path: Path) -> ExtractedFile:
    return ExtractedFile(PtFile(FileByteRanges(path)))


Run = Callable[..., ExtractionResult]


def test_a_session_is_extracted_with_metadata_and_inputs(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a/b.tar", video)
    result = run("a/b.tar")
    [item] = result.items
    assert (item.status, item.pt_key, item.video_id) == ("extracted", "a/b.pt", "b")
    assert item.remarks == ()
    extracted = open_file(target / "a/b.pt")
    assert (extracted.s3_key, extracted.video_id) == ("a/b.tar", "b")
    assert extracted.digest == item.pt_digest
    assert extracted.session_metadata == METADATA
    assert extracted.input["members"].keys() == {"recording.mp4", "inputs.csv", "metadata.json"}
    shapes = {name: extracted.frames(name).shape for name in extracted.series}
    assert shapes == {
        "stride-3_chw": (15, 3, 32, 56),
        "stride-30_chw": (3, 3, 32, 56),
        "stride-60_chw": (2, 3, 32, 56),
        "uniform-60_chw": (60, 3, 32, 56),
    }
    assert extracted.frame_numbers("stride-30_chw") == [0, 30, 60]
    assert extracted.times_ms("stride-30_chw") == [0, 500, 1000]
    assert len(extracted.pts) == FRAMES
    assert [(e.time_ms, e.first) for e in extracted.inputs.pressed] == [(500, 87.0)]
    streams = extracted.video_metadata["streams"]
    assert [(s["codec_name"], s["width"], s["height"]) for s in streams] == [("mpeg4", *SIZE)]


def test_sampled_frames_equal_those_of_a_plain_decoder(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    run("a.tar")
    extracted = open_file(target / "a.pt")
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    for series in extracted.series:
        for place, number in enumerate(extracted.frame_numbers(series)):
            got = extracted.frames(series)[place].mean(axis=(1, 2))
            assert np.abs(got - frames[number].mean(axis=(0, 1))).max() < 2


def test_the_same_archive_gives_the_same_bytes_and_a_complete_file_is_reused(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    first = run("a.tar")
    data = (target / "a.pt").read_bytes()
    stamp = (target / "a.pt").stat().st_mtime_ns
    again = run("a.tar")
    assert (again.items, again.reused) == (first.items, 1)
    assert (target / "a.pt").stat().st_mtime_ns == stamp
    assert run("a.tar", skip_existing=False).items == first.items
    assert (target / "a.pt").read_bytes() == data
    assert (target / "a.pt").stat().st_mtime_ns > stamp
    small = run("a.tar", skip_existing=False, compress=True)
    assert small.items == first.items
    assert (target / "a.pt").stat().st_size < len(data)


@pytest.mark.parametrize("damage", ["cut", "other settings", "other archive", "foreign file"])
def test_an_incomplete_or_different_file_is_extracted_again(
    source: Path, target: Path, video: Path, run: Run, damage: str
) -> None:
    session_tar(source / "a.tar", video)
    run("a.tar")
    path = target / "a.pt"
    whole = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(whole[: len(whole) // 2])
        case "other settings":
            run("a.tar", uniform=7)
            assert open_file(path).frames("uniform-7_chw").shape[0] == 7
        case "other archive":
            session_tar(source / "a.tar", video, inputs=inputs_csv([(1.0, "SCROLL", "[1]")] * 99))
        case _:
            path.write_bytes(b"hello")
    assert run("a.tar").reused == 0
    assert (path.read_bytes() == whole) is (damage != "other archive")


def test_an_archive_of_several_samples_gives_a_file_for_each_good_one(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    write_tar(
        source / "w.tar",
        {"0.mp4": video, "0.json": b"{}", "1.mp4": b"no video", "1.json": b"{}",
         "2.mp4": video, "2.json": b"[]"},
    )  # fmt: skip
    result = run("w.tar")
    outcomes = [(i.video_id, i.pt_key, i.error and i.error.code) for i in result.items]
    assert outcomes == [
        ("w/0", "w/0.pt", None),
        ("w/1", None, "video_unreadable"),
        ("w/2", None, "metadata_not_json"),
    ]
    assert result.items[0].remarks == ("no_inputs",)
    assert open_file(target / "w/0.pt").video_id == "w/0"
    assert run("w.tar").reused == 1


def test_an_archive_that_becomes_bad_is_an_error_until_it_is_good_again(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    run("a.tar")
    whole = (source / "a.tar").read_bytes()
    (source / "a.tar").write_bytes(whole[:3000])
    with pytest.raises(FilmgateError):
        run("a.tar")
    settings = ManifestSettings(manifest_bucket=str(target))
    item = GameItem(s3_key="a.tar", status="extracted")
    [row] = build_rows(item, open_store=OPEN, settings=settings).rows
    assert row["error_code"] == "tar_truncated"
    (source / "a.tar").write_bytes(whole)
    assert run("a.tar").reused == 1
    assert [path.name for path in target.iterdir()] == ["a.pt"]


def test_a_pt_file_stays_when_its_archive_no_longer_exists(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    run("a.tar")
    (source / "a.tar").unlink()
    with pytest.raises(NotFound):
        run("a.tar", skip_existing=False)
    assert [path.name for path in target.iterdir()] == ["a.pt"]


def test_an_altered_frame_is_detected_and_extracted_again(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    run("a.tar")
    whole = (target / "a.pt").read_bytes()
    bad = bytearray(whole)
    bad[len(bad) // 2] ^= 1
    (target / "a.pt").write_bytes(bad)
    assert run("a.tar").reused == 0
    assert (target / "a.pt").read_bytes() == whole


@pytest.mark.parametrize("name", ["./recording.mp4", "session/recording.mp4"])
def test_member_names_as_the_tar_program_writes_them_are_accepted(
    source: Path, target: Path, video: Path, run: Run, name: str
) -> None:
    folder = name.rpartition("/")[0]
    write_tar(source / "a.tar", {name: video, f"{folder}/metadata.json": b"{}"})
    assert run("a.tar").items[0].status == "extracted"


def test_frames_of_a_recording_without_keyframes_equal_those_of_a_plain_decoder(
    source: Path, target: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("refresh") / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=60)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.options = {
            "x264-params": "intra-refresh=1:keyint=40:bframes=0",
            "preset": "ultrafast",
        }
        for number in range(600):
            frame = av.VideoFrame.from_ndarray(draw_world(number, (160, 90)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    session_tar(source / "a.tar", path)
    run("a.tar", strides={}, uniform=6)
    extracted = open_file(target / "a.pt")
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    got = extracted.frames("uniform-6_chw").mean(axis=(2, 3))
    wanted = [frames[n].mean(axis=(0, 1)) for n in extracted.frame_numbers("uniform-6_chw")]
    assert np.abs(got - np.array(wanted)).max() < 2


@pytest.mark.parametrize("end", [".mkv", ".webm"])
def test_a_video_shorter_than_its_header_claims_is_an_error(
    source: Path, target: Path, run: Run, tmp_path_factory: pytest.TempPathFactory, end: str
) -> None:
    path = tmp_path_factory.mktemp("cut") / f"v{end}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if end == ".webm" else "mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 54, "yuv420p"
        for number in range(300):
            frame = av.VideoFrame.from_ndarray(draw_world(number, SIZE), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    members: dict[str, bytes | Path] = {f"r{end}": data[: len(data) * 6 // 10]}
    write_tar(source / "a.tar", {**members, "metadata.json": b"{}"})
    with pytest.raises(FilmgateError) as refused:
        run("a.tar")
    assert refused.value.extra["reason"] == "video_truncated"


def test_a_variable_rate_is_sampled_by_time_and_remarked(
    source: Path, target: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("vfr") / "v.mp4"
    stamps = [0, 10, 20, 30, *range(1000, 2000, 10)]
    with open_recording(path, SIZE, time_base=Fraction(1, 1000)) as write:
        for number, stamp in enumerate(stamps):
            write(draw_world(number, SIZE), stamp)
    session_tar(source / "a.tar", path)
    [item] = run("a.tar", uniform=4).items
    assert item.remarks == ("variable_rate",)
    times = open_file(target / "a.pt").times_ms("uniform-4_chw")
    assert times == [30, 30, 1250, 1750]  # the fourth frame is shown from 30 to 1000
    with pytest.raises(FilmgateError) as refused:
        run("a.tar", strict=True, skip_existing=False)
    assert refused.value.extra["reason"] == "variable_rate"


def write_tar_of_entries(path: Path, *entries: tarfile.TarInfo, video: Path) -> Path:
    with tarfile.open(path, "w") as tar:
        for entry in entries:
            data = b"x" * entry.size if entry.isreg() else b""
            tar.addfile(entry, io.BytesIO(data))
        tar.add(video, "recording.mp4")
        metadata = tarfile.TarInfo("metadata.json")
        metadata.size = 2
        tar.addfile(metadata, io.BytesIO(b"{}"))
    return path


def make_entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


def write_false_size(path: Path, claimed: int) -> None:
    """Write an archive whose only member claims this many bytes."""
    entry = make_entry("recording.mp4", size=claimed)
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


def write_header_bomb(path: Path) -> None:
    """Write an archive that begins with a header that claims 3 GB of names."""
    entry = make_entry("x", kind=tarfile.XHDTYPE, size=3 << 30)
    data = entry.tobuf(tarfile.GNU_FORMAT)
    with path.open("wb") as file:
        file.write(data)
        file.truncate(len(data) + (3 << 30) + 10240)


def write_sparse(path: Path, video: Path) -> None:
    entry = make_entry("recording.mp4")
    entry.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "a.mp4",
        "GNU.sparse.realsize": "99999999999",
    }
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        data = b"1\n0\n5\n" + bytes(506) + b"hello"
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))


def write_bad(kind: str, path: Path, video: Path) -> None:  # noqa: C901, PLR0912, PLR0915 - a list
    match kind:
        case "tar_empty":
            path.write_bytes(b"")
        case "not_a_tar":
            path.write_bytes(b"hello, I am no archive. " * 99)
        case "tar_truncated":
            path.write_bytes(session_tar(path, video).read_bytes()[:3000])
        case "tar_traversal":
            write_tar_of_entries(path, make_entry("../../evil.txt", size=3), video=video)
        case "tar_traversal absolute":
            write_tar_of_entries(path, make_entry("/tmp/evil.txt", size=3), video=video)
        case "tar_link":
            write_tar_of_entries(
                path, make_entry("inputs.csv", tarfile.SYMTYPE, "/etc/passwd"), video=video
            )
        case "tar_link hard":
            write_tar_of_entries(
                path, make_entry("inputs.csv", tarfile.LNKTYPE, "recording.mp4"), video=video
            )
        case "tar_device":
            write_tar_of_entries(path, make_entry("null", tarfile.CHRTYPE), video=video)
        case "tar_device pipe":
            write_tar_of_entries(path, make_entry("pipe", tarfile.FIFOTYPE), video=video)
        case "tar_sparse":
            write_sparse(path, video)
        case "tar_truncated claims":
            write_false_size(path, 10 << 30)
        case "tar_header_bomb":
            write_header_bomb(path)
        case "tar_twice":
            write_tar(path, {"a.mp4": video, "metadata.json": b"{}"})
            with tarfile.open(path, "a") as tar:
                tar.addfile(make_entry("a.mp4"))
        case "tar_truncated header":
            whole = session_tar(path, video).read_bytes()
            path.write_bytes(whole[: whole.find(b"metadata.json") + 300])
        case "tar_truncated no end":
            whole = session_tar(path, video).read_bytes()
            path.write_bytes(whole[: whole.find(b"metadata.json") + 512 + 512])
        case "two_videos one name":
            write_tar(path, {"a.mp4": video, "a.mkv": video, "a.json": b"{}"})
        case "metadata_not_json half a character":
            write_tar(path, {"recording.mp4": video, "metadata.json": b'{"a": "\\ud800"}'})
        case "metadata_not_json infinite":
            write_tar(path, {"recording.mp4": video, "metadata.json": b'{"a": 1e999}'})
        case "metadata_not_json list":
            write_tar(path, {"recording.mp4": video, "metadata.json": b"[]"})
        case "no_metadata":
            write_tar(path, {"recording.mp4": video})
        case "two_videos":
            write_tar(path, {"a.mp4": video, "b.mp4": video, "metadata.json": b"{}"})
        case "metadata_not_json":
            write_tar(path, {"recording.mp4": video, "metadata.json": b'{"a": NaN}'})
        case "metadata_not_json deep":
            write_tar(path, {"recording.mp4": video, "metadata.json": b"[" * 100_000})
        case "member_too_large":
            write_tar(path, {"recording.mp4": video, "metadata.json": b" " * (5 << 20)})
        case "no_picture":
            write_tar(path, {"recording.mkv": write_sound(path), "metadata.json": b"{}"})
        case "video_unreadable":
            data = video.read_bytes()
            write_tar(path, {"recording.mp4": data[: len(data) // 2], "metadata.json": b"{}"})
        case "video_unreadable empty":
            write_tar(path, {"recording.mp4": b"", "metadata.json": b"{}"})
        case _:
            raise AssertionError(kind)


def write_sound(path: Path) -> bytes:
    tone = write_tone(path.with_suffix(".wav"), 1)
    data = tone.read_bytes()
    tone.unlink()
    return data


BAD_KINDS = """tar_empty, not_a_tar, tar_truncated, tar_traversal, tar_traversal absolute, tar_link,
tar_link hard, tar_device, tar_device pipe, tar_sparse, tar_truncated claims, tar_header_bomb,
tar_twice, tar_truncated header, tar_truncated no end, no_metadata, two_videos,
two_videos one name, metadata_not_json, metadata_not_json deep, metadata_not_json list,
metadata_not_json half a character, metadata_not_json infinite, member_too_large,
no_picture, video_unreadable, video_unreadable empty"""


@pytest.mark.parametrize("kind", [kind.strip() for kind in BAD_KINDS.split(",")])
def test_a_bad_archive_leaves_only_a_failure_record_with_a_code(
    source: Path, target: Path, video: Path, run: Run, kind: str
) -> None:
    write_bad(kind, source / "bad.tar", video)
    with pytest.raises(FilmgateError) as refused:
        run("bad.tar")
    code = kind.partition(" ")[0]
    assert refused.value.extra["reason"] == code
    assert [path.name for path in target.rglob("*")] == ["bad.error.json"]
    left = GameItem.model_validate_json((target / "bad.error.json").read_bytes())
    assert left.error is not None
    assert (left.s3_key, left.error.code) == ("bad.tar", code)


def test_a_video_truncated_after_its_header_is_an_error(
    source: Path, target: Path, run: Run, tmp_path_factory: pytest.TempPathFactory, video: Path
) -> None:
    path = tmp_path_factory.mktemp("fast") / "v.mp4"
    fast = {"movflags": "faststart"}
    with av.open(str(video)) as read, av.open(str(path), "w", options=fast) as w:
        stream = w.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                w.mux(packet)
    data = path.read_bytes()
    write_tar(source / "a.tar", {"r.mp4": data[: len(data) * 2 // 3], "metadata.json": b"{}"})
    with pytest.raises(FilmgateError) as refused:
        run("a.tar")
    assert refused.value.extra["reason"] == "video_truncated"


def test_a_picture_larger_than_any_screen_is_rejected_before_decoding(
    source: Path, target: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("large") / "v.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 9000, 5000, "yuvj420p"
        frame = av.VideoFrame(9000, 5000, "yuvj420p")
        container.mux([*stream.encode(frame), *stream.encode()])
    write_tar(source / "a.tar", {"r.mkv": path, "metadata.json": b"{}"})
    with pytest.raises(FilmgateError) as refused:
        run("a.tar")
    assert refused.value.extra["reason"] == "picture_too_large"


def test_a_missing_archive_and_a_key_outside_the_source_are_rejected(
    target: Path, run: Run
) -> None:
    with pytest.raises(NotFound):
        run("nothing.tar")
    with pytest.raises(FilmgateError) as refused:
        run("../out/a.tar")
    assert refused.value.extra["reason"] == "bad_key"
    assert [path.name for path in target.rglob("*")] == ["nothing.error.json"]


def test_a_link_that_leads_out_of_the_source_is_rejected(
    source: Path, target: Path, run: Run, video: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = session_tar(tmp_path_factory.mktemp("elsewhere") / "s.tar", video)
    (source / "a.tar").symlink_to(secret)
    with pytest.raises(FilmgateError, match="points outside the store"):
        run("a.tar")


@pytest.mark.parametrize(
    ("work", "code"),
    [(loop_until_timeout, "too_slow"), (read_slow_video, "too_slow"), (exceed_memory, "too_big")],
)
def test_an_item_that_exceeds_its_limits_fails_alone(work: Callable[[int], int], code: str) -> None:
    pool = ProcessPool(1)
    try:
        [bad, good] = pool.map(work, [1, 0])
    finally:
        pool.close()
    assert bad.error is not None
    assert bad.error.details["reason"] == code
    assert good.value == 0


def test_an_item_is_written_as_json_with_its_digests(
    source: Path, target: Path, video: Path, run: Run
) -> None:
    session_tar(source / "a.tar", video)
    written = json.loads(run("a.tar").items[0].model_dump_json())
    assert written["input_digest"].startswith("sha256:")
    assert len(written["pt_digest"]) == 64
