"""Game sessions: extraction compared with bare decoding and with a simple script, checks compared
with bare means, repeated checks, and two Ray nodes compared with one worker.

    python benchmarks/gameplay.py [--write] [--files 1000]

A recording in FILMGATE_TEST_DATA is used if it exists, else a synthetic one. Measurements alternate
and the best of each counts, because the machine is shared. Those that need torch or Ray are skipped
with a note if it is not installed.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from filmgate.pipelines.gameplay.archive_worker import extract_archive
from filmgate.pipelines.gameplay.contracts import ExtractionTask, GameItem
from filmgate.pipelines.gameplay.extracted import ExtractedFile
from filmgate.pipelines.gameplay.row_builder import build_rows
from filmgate.pipelines.gameplay.settings import ExtractionSettings, ManifestSettings
from filmgate.store.addresses import S3Options, open_store
from filmgate.tools.byte_ranges import FileByteRanges
from filmgate.tools.sample_sessions import draw_world, inputs_csv, open_recording, session_tar
from filmgate.tools.torch_files.reading import PtFile
from page_sections import log, logged_text, write_section

ROOT = Path(__file__).parents[1]
TORCH = ROOT / ".torch" / "bin" / "python"
ROUNDS = 5
MEANS = "v1:is_video_mostly_dark,v1:is_dpi_scale_issue"
OPEN = partial(open_store, options=S3Options())

SIMPLE_SCRIPT = """
import json, shutil, sys, tarfile, time
import cv2, numpy as np, torch
archive, folder, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
def work():
    shutil.copy(archive, folder + "/fetched.tar")
    with tarfile.open(folder + "/fetched.tar") as tar:
        tar.extractall(folder, filter="data")
    video = cv2.VideoCapture(folder + "/recording.mp4")
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = {"stride-3_chw": list(range(0, count, 3))[:15], "stride-30_chw":
              list(range(0, count, 30))[:15], "stride-60_chw": list(range(0, count, 60))[:5],
              "uniform-60_chw": [(2 * k + 1) * count // 120 for k in range(60)]}
    needed = {n for numbers in wanted.values() for n in numbers}
    frames = {}
    for number in range(max(needed) + 1):
        _, image = video.read()
        if number in needed:
            small = cv2.resize(image, (456, 256), interpolation=cv2.INTER_AREA)
            frames[number] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
    sampled = {name: torch.from_numpy(np.stack([frames[n] for n in numbers]))
               for name, numbers in wanted.items()}
    about = json.load(open(folder + "/metadata.json"))
    torch.save({"sampled_frames": sampled, "session_metadata": about}, folder + "/video.pt")
best = 1e9
for _ in range(rounds):
    began = time.perf_counter()
    work()
    best = min(best, time.perf_counter() - began)
print(best)
"""

TORCH_LOAD = """
import sys, time, torch
paths, rounds = sys.argv[2:], int(sys.argv[1])
best = 1e9
for _ in range(rounds):
    began = time.perf_counter()
    for path in paths:
        frames = torch.load(path, weights_only=True)["sampled_frames"]
        dark = frames["stride-30_chw"].float().mean() < 15
        frame = frames["stride-3_chw"][0].float()
        high = frame.shape[1]
        bars = frame[:, :high // 10].mean() < 10 and frame[:, -(high // 10):].mean() < 10
    best = min(best, time.perf_counter() - began)
print(best)
"""


def best_of(*sides: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """Return the shortest time of each function in seconds; they are called alternately."""
    best = [float("inf")] * len(sides)
    for _ in range(rounds):
        for index, side in enumerate(sides):
            started = time.perf_counter()
            side()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def make_session(folder: Path) -> tuple[Path, Path]:
    """Return the archive of a session, and its video file."""
    data = os.environ.get("FILMGATE_TEST_DATA")
    archive, video = folder / "in" / "session.tar", folder / "recording.mp4"
    if data and (Path(data) / "game").is_dir():
        video = Path(data) / "game" / "mt_day_gameplay.mp4"
        inputs = video.with_suffix(".inputs.csv").read_bytes()
        return session_tar(archive, video, inputs=inputs), video
    with open_recording(video, (1280, 720)) as write:
        for number in range(1200):
            write(np.kron(draw_world(number), np.ones((4, 4, 1), np.uint8)))
    return session_tar(archive, video, inputs=inputs_csv([])), video


def decode(video: Path, last_wanted: int) -> int:
    """Decode every packet up to the last frame that sampling needs; return the frame count."""
    count = 0
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for count, _ in enumerate(container.decode(stream), start=1):
            if count > last_wanted:
                break
    return count


def measure_extraction(folder: Path, archive: Path, video: Path) -> Iterator[str]:
    """Compare extraction with its limit and with the simple script."""
    settings = ExtractionSettings(
        source_bucket=str(archive.parent), manifest_bucket=str(folder / "pt"), skip_existing=False
    )
    task = ExtractionTask(key=archive.name)
    extract = partial(extract_archive, task, open_store=OPEN, settings=settings)
    item = extract().items[0]
    pt_path = folder / "pt" / str(item.pt_key)
    extracted = ExtractedFile(PtFile(FileByteRanges(pt_path)))
    last = extracted.frame_numbers("uniform-60_chw")[-1]
    frames = len(extracted.pts)
    seconds, limit = best_of(extract, lambda: decode(video, last))
    yield f"{video.name}, {frames} frames of 1280 × 720, {archive.stat().st_size / 1e6:.1f} MB"
    yield f"  bare decoding (PyAV)             {limit:8.2f} s   {frames / limit:7.0f} frames/s"
    ratio = f"{limit / seconds:.2f} of bare decoding"
    yield f"  extraction                       {seconds:8.2f} s   {ratio}"
    size = pt_path.stat().st_size
    extract_compressed = partial(
        extract_archive,
        task,
        open_store=OPEN,
        settings=settings.model_copy(update={"compress": True}),
    )
    [compressed_seconds] = best_of(extract_compressed, rounds=1)
    share = f"{pt_path.stat().st_size / size:.2f} of {size / 1e6:.1f} MB"
    yield f"  with --compress                  {compressed_seconds:8.2f} s   {share}"
    extract()
    if not TORCH.exists():
        yield "  the simple script: torch is not installed (make torch)"
        return
    script_folder = folder / "script"
    script_folder.mkdir()
    command = [str(TORCH), "-c", SIMPLE_SCRIPT, str(archive), str(script_folder), str(ROUNDS)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    script_seconds = float(done.stdout)
    [seconds] = best_of(extract)
    yield (
        f"  copy, unpack, OpenCV, torch.save {script_seconds:8.2f} s   extraction is "
        f"{script_seconds / seconds:.2f} times as fast ({seconds:.2f} s in the same minute)"
    )


def compute_means(path: Path, ranges: dict[str, tuple[int, int]], *, by_opencv: bool) -> None:
    """Read the byte ranges (start, size) that the two checks of v1 that are means need, and compute
    the means: with numpy as the original does, or as fast as possible with OpenCV."""
    with path.open("rb") as file:
        for start, size in ranges.values():
            file.seek(start)
            pixels = np.frombuffer(file.read(size), np.uint8)
            _ = cv2.sumElems(pixels.reshape(-1, 456)) if by_opencv else pixels.mean()


def drop_page_cache(path: Path) -> None:
    """Remove a file from the system's page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def needed_ranges(path: Path) -> dict[str, tuple[int, int]]:
    """Find the byte ranges (start, size) of the frames that the checks of v1 need."""
    extracted = ExtractedFile(PtFile(FileByteRanges(path)))
    data = path.read_bytes()
    wanted = {
        "dark": extracted.frames("stride-30_chw"),
        "border": extracted.frames("stride-3_chw", slice(0, 1)),
    }
    return {name: (data.find(f.tobytes()), f.nbytes) for name, f in wanted.items()}


def measure_checks(folder: Path, count: int = 20) -> Iterator[str]:
    """Compare checks with their limit and with torch.load."""
    first = next((folder / "pt").glob("*.pt"))
    ranges = needed_ranges(first)
    settings = ManifestSettings(manifest_bucket=str(folder / "pt"), checks="v1")
    item = GameItem(s3_key="session.tar", status="extracted", pt_key=first.name)

    def check(settings: ManifestSettings) -> None:
        for _ in range(count):
            build_rows(item, open_store=OPEN, settings=settings)

    def compute(*, by_opencv: bool) -> None:
        for _ in range(count):
            compute_means(first, ranges, by_opencv=by_opencv)

    means = settings.model_copy(update={"checks": MEANS})
    numpy_s, opencv_s, means_s, v1_s, v2_s = best_of(
        lambda: compute(by_opencv=False),
        lambda: compute(by_opencv=True),
        lambda: check(means),
        lambda: check(settings),
        lambda: check(settings.model_copy(update={"checks": "v2"})),
        rounds=3,
    )
    ms = 1000 / count
    megabytes = sum(size for _, size in ranges.values()) / 1e6
    yield f"a session of {first.stat().st_size / 1e6:.1f} MB, {megabytes:.1f} MB of it needed"
    yield f"  read, and bare means (numpy)     {numpy_s * ms:8.1f} ms"
    yield f"  read, and sums (OpenCV)          {opencv_s * ms:8.1f} ms"
    share = f"{numpy_s / means_s:.2f} of numpy's means"
    yield f"  v1, dark and borders             {means_s * ms:8.1f} ms  {share}"
    yield f"  v1, with menus on 20 frames      {v1_s * ms:8.1f} ms  {numpy_s / v1_s:.2f}"
    yield f"  v2, nine checks on 60 frames     {v2_s * ms:8.1f} ms"
    if not TORCH.exists():
        yield "  torch.load: torch is not installed (make torch)"
        return
    command = [str(TORCH), "-c", TORCH_LOAD, "3", *[str(first)] * count]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    torch_s = float(done.stdout)
    yield (
        f"  torch.load, same two checks      {torch_s * ms:8.1f} ms  "
        f"{torch_s / means_s:.1f} times Filmgate's"
    )
    command = [str(TORCH), "-c", TORCH_LOAD, "1", str(first)]
    cold: list[tuple[float, float]] = []
    for _ in range(3):
        drop_page_cache(first)
        [means_s] = best_of(lambda: build_rows(item, open_store=OPEN, settings=means), rounds=1)
        drop_page_cache(first)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        cold.append((means_s, float(done.stdout)))
    means_s, torch_s = (min(side) for side in zip(*cold, strict=True))
    yield (
        f"  the same, read from the disk     {torch_s * 1000:8.1f} ms  "
        f"{torch_s / means_s:.1f} times Filmgate's ({means_s * 1000:.1f} ms)"
    )
    rows = build_rows(item, open_store=OPEN, settings=means)
    yield (
        f"  read from a bucket               {rows.bytes_read / 1e6:8.1f} MB  "
        f"instead of {first.stat().st_size / 1e6:.1f}"
    )


def run(folder: Path, *arguments: str, workers: int, env: dict[str, str] | None = None) -> Any:
    """Run the command; return the manifest that it prints."""
    command = [sys.executable, "-m", "filmgate", "run", "gameplay", "--no-ingest", "--json"]
    environment = {**os.environ, "FILMGATE_HOME": str(folder / "home"), **(env or {})}
    done = subprocess.run(
        [*command, *arguments, "--workers", str(workers)],
        check=True, capture_output=True, text=True, env=environment, cwd=folder,
    )  # fmt: skip
    return json.loads(done.stdout)


def measure_many_files(folder: Path, files: int) -> Iterator[str]:
    """Check many files, then again with other checks."""
    first = next((folder / "pt").glob("*.pt"))
    many = folder / "many"
    many.mkdir()
    for number in range(files):
        os.link(first, many / f"{number:05}.pt")
    workers = os.cpu_count() or 1
    yield f"{files} files (hard links to one file, read from memory), {workers} workers"
    for title, checks in (
        ("v2, all nine checks", "v2"),
        ("v1", "v1"),
        ("a check without frames", "is_rate_low"),
        ("a check with frames", "is_video_mostly_dark"),
    ):
        started = time.perf_counter()
        manifest = run(
            folder, "--stage", "manifest", "--manifest-bucket", str(many), "--checks", checks,
            workers=workers,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        assert manifest["stages"]["manifest"]["counts"]["rows"] == files
        rate = files / seconds
        yield f"  {title:32} {seconds:8.1f} s   {rate:7.1f} sessions/s, from start to end"


def measure_ray(folder: Path, archive: Path) -> Iterator[str]:
    """Compare two Ray nodes with one worker."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        yield "Ray is not installed: pip install 'filmgate[ray]'"
        return
    count = 8
    source = folder / "several"
    source.mkdir()
    for number in range(count):
        os.link(archive, source / f"{number}.tar")
    task_list = folder / "several.txt"
    task_list.write_text("".join(f"{number}.tar\n" for number in range(count)))
    common = ("--stage", "extraction", "--no-skip-existing", "--task-list", str(task_list),
              "--source-bucket", str(source))  # fmt: skip

    def time_extraction(*options: str, workers: int, **env: str) -> float:
        manifest = run(folder, *common, *options, workers=workers, env=env)
        stage = manifest["stages"]["extraction"]
        assert stage["counts"]["extracted"] == count
        return float(stage["duration_s"])

    one_worker = time_extraction("--manifest-bucket", str(folder / "one"), workers=1)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        two_nodes = time_extraction(
            "--manifest-bucket", str(folder / "two"), "--executor", "ray", workers=2,
            RAY_ADDRESS=cluster.address,
        )  # fmt: skip
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call] # untyped in Ray
    ratio = one_worker / two_nodes
    yield f"{count} archives, {os.cpu_count()} CPUs in all"
    yield f"  one worker                       {one_worker:8.1f} s   (its decoder uses all CPUs)"
    yield f"  two Ray nodes                    {two_nodes:8.1f} s   {ratio:.2f} times as fast"
    is_same = all(
        (folder / "one" / f"{n}.pt").read_bytes() == (folder / "two" / f"{n}.pt").read_bytes()
        for n in range(count)
    )
    yield f"  the same bytes: {'yes' if is_same else 'NO'}"


def main() -> None:
    """Measure everything, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    parser.add_argument("--files", type=int, default=1000, help="number of files to check")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive, video = make_session(folder)
        for lines in (
            measure_extraction(folder, archive, video),
            measure_checks(folder),
            measure_many_files(folder, options.files),
            measure_ray(folder, archive),
        ):
            for line in lines:
                log(line)
            log()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    log(f"memory: {peak} MiB")
    if options.write:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        machine = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
        write_section(
            "gameplay",
            "# Game sessions\n\n"
            f"*Written by `python benchmarks/gameplay.py --write`.* {day}, {machine}.\n"
            "The limit of extraction is the time to decode the same frames. The limit of the "
            "checks is the time\nto read the bytes that they need and to compute bare means.\n\n"
            f"```text\n{logged_text()}\n```",
        )


if __name__ == "__main__":
    main()
