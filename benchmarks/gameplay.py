"""Game sessions: extraction beside bare decoding and the straightforward way, checks beside bare
means, judging again, and two Ray nodes beside one worker.

    python benchmarks/gameplay.py [--write] [--files 1000]

A real recording where FILMGATE_TEST_DATA has one, else one that is drawn. Sides take turns, and the
best of each counts: the machine is shared. What needs torch or Ray says so where it is not there.
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

from filmgate.core.gameplay import GameItem, Task
from filmgate.pipelines.gameplay.extracted import Extracted
from filmgate.pipelines.gameplay.extracting import extract
from filmgate.pipelines.gameplay.judging import judge
from filmgate.pipelines.gameplay.settings import ExtractionSettings, ManifestSettings
from filmgate.store.addresses import S3Options, open_store
from filmgate.tools.demo_sessions import inputs_csv, recording, session_tar, world
from filmgate.tools.pieces import FilePieces
from filmgate.tools.torch_files.reading import PtFile
from written import write_section

ROOT = Path(__file__).parents[1]
TORCH = ROOT / ".torch" / "bin" / "python"
ROUNDS = 5
MEANS = "v1:is_video_mostly_dark,v1:is_dpi_scale_issue"
OPEN = partial(open_store, options=S3Options())

STRAIGHTFORWARD = """
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
        there, image = video.read()
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
    """The shortest time of each, taking turns."""
    best = [float("inf")] * len(sides)
    for _ in range(rounds):
        for place, side in enumerate(sides):
            began = time.perf_counter()
            side()
            best[place] = min(best[place], time.perf_counter() - began)
    return best


def a_session(folder: Path) -> tuple[Path, Path]:
    """A session's archive, and its video by itself."""
    data = os.environ.get("FILMGATE_TEST_DATA")
    archive, video = folder / "in" / "session.tar", folder / "recording.mp4"
    if data and (Path(data) / "game").is_dir():
        video = Path(data) / "game" / "mt_day_gameplay.mp4"
        inputs = video.with_suffix(".inputs.csv").read_bytes()
        return session_tar(archive, video, inputs=inputs), video
    with recording(video, (1280, 720)) as write:
        for number in range(1200):
            write(np.kron(world(number), np.ones((4, 4, 1), np.uint8)))
    return session_tar(archive, video, inputs=inputs_csv([])), video


def decoded(video: Path, last_wanted: int) -> int:
    """Bare decoding of what sampling needs: every packet up to the last frame that is wanted."""
    count = 0
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for count, _ in enumerate(container.decode(stream), start=1):
            if count > last_wanted:
                break
    return count


def extraction(folder: Path, archive: Path, video: Path) -> Iterator[str]:
    """Extraction beside its limit and the straightforward way."""
    settings = ExtractionSettings(
        source_bucket=str(archive.parent), manifest_bucket=str(folder / "pt"), skip_existing=False
    )
    work = partial(extract, Task(key=archive.name), open_store=OPEN, settings=settings)
    made = work().items[0]
    extracted = Extracted(PtFile(FilePieces(folder / "pt" / str(made.pt_key))))
    last = extracted.frame_numbers("uniform-60_chw")[-1]
    frames = len(extracted.pts)
    ours, bare = best_of(work, lambda: decoded(video, last))
    yield f"{video.name}, {frames} frames of 1280 × 720, {archive.stat().st_size / 1e6:.1f} MB"
    yield f"  bare decoding (PyAV)             {bare:8.2f} s   {frames / bare:7.0f} frames/s"
    yield f"  extraction                       {ours:8.2f} s   {bare / ours:.2f} of bare decoding"
    size = (folder / "pt" / str(made.pt_key)).stat().st_size
    small = partial(
        extract,
        Task(key=archive.name),
        open_store=OPEN,
        settings=settings.model_copy(update={"compress": True}),
    )
    [slow] = best_of(small, rounds=1)
    packed = (folder / "pt" / str(made.pt_key)).stat().st_size
    share = f"{packed / size:.2f} of {size / 1e6:.1f} MB"
    yield f"  with --compress                  {slow:8.2f} s   {share}"
    work()
    if not TORCH.exists():
        yield "  the straightforward way: torch is not installed (make torch)"
        return
    other = folder / "other"
    other.mkdir()
    line = [str(TORCH), "-c", STRAIGHTFORWARD, str(archive), str(other), str(ROUNDS)]
    told = subprocess.run(line, check=True, capture_output=True, text=True)
    theirs = float(told.stdout)
    [mine] = best_of(work)
    yield (
        f"  copy, unpack, OpenCV, torch.save {theirs:8.2f} s   "
        f"extraction is {theirs / mine:.2f} times as fast ({mine:.2f} s in the same minute)"
    )


def bare_means(path: Path, places: dict[str, tuple[int, int]], *, by_opencv: bool) -> None:
    """Reading what the two checks of v1 that are means need, and computing them: as the original
    does, with numpy's mean, or as fast as can be."""
    with path.open("rb") as file:
        for start, size in places.values():
            file.seek(start)
            pixels = np.frombuffer(file.read(size), np.uint8)
            _ = cv2.sumElems(pixels.reshape(-1, 456)) if by_opencv else pixels.mean()


def from_disk(path: Path) -> None:
    """Let the system forget what it holds of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def places_in(path: Path) -> dict[str, tuple[int, int]]:
    """Where the frames that v1 needs lie in a file."""
    extracted = Extracted(PtFile(FilePieces(path)))
    data = path.read_bytes()
    wanted = {
        "dark": extracted.frames("stride-30_chw"),
        "border": extracted.frames("stride-3_chw", slice(0, 1)),
    }
    return {name: (data.find(f.tobytes()), f.nbytes) for name, f in wanted.items()}


def manifest(folder: Path, count: int = 20) -> Iterator[str]:
    """Checks beside their limit and torch.load."""
    first = next((folder / "pt").glob("*.pt"))
    places = places_in(first)
    settings = ManifestSettings(manifest_bucket=str(folder / "pt"), checks="v1")
    item = GameItem(s3_key="session.tar", status="extracted", pt_key=first.name)

    def judged(given: ManifestSettings) -> None:
        for _ in range(count):
            judge(item, open_store=OPEN, settings=given)

    def bare(*, by_opencv: bool) -> None:
        for _ in range(count):
            bare_means(first, places, by_opencv=by_opencv)

    means = settings.model_copy(update={"checks": MEANS})
    limit, hard, of_means, of_all, of_v2 = best_of(
        lambda: bare(by_opencv=False),
        lambda: bare(by_opencv=True),
        lambda: judged(means),
        lambda: judged(settings),
        lambda: judged(settings.model_copy(update={"checks": "v2"})),
        rounds=3,
    )
    ms = 1000 / count
    megabytes = sum(size for _, size in places.values()) / 1e6
    yield f"a session of {first.stat().st_size / 1e6:.1f} MB, {megabytes:.1f} MB of it needed"
    yield f"  read, and bare means (numpy)     {limit * ms:8.1f} ms"
    yield f"  read, and sums (OpenCV)          {hard * ms:8.1f} ms"
    share = f"{limit / of_means:.2f} of numpy's means"
    yield f"  v1, dark and borders             {of_means * ms:8.1f} ms  {share}"
    yield f"  v1, with menus on 20 frames      {of_all * ms:8.1f} ms  {limit / of_all:.2f}"
    yield f"  v2, nine checks on 60 frames     {of_v2 * ms:8.1f} ms"
    if not TORCH.exists():
        yield "  torch.load: torch is not installed (make torch)"
        return
    line = [str(TORCH), "-c", TORCH_LOAD, "3", *[str(first)] * count]
    told = subprocess.run(line, check=True, capture_output=True, text=True)
    theirs = float(told.stdout)
    yield (
        f"  torch.load and the same two      {theirs * ms:8.1f} ms  "
        f"{theirs / of_means:.1f} times ours"
    )
    line = [str(TORCH), "-c", TORCH_LOAD, "1", str(first)]
    cold: list[tuple[float, float]] = []
    for _ in range(3):
        from_disk(first)
        [ours] = best_of(lambda: judge(item, open_store=OPEN, settings=means), rounds=1)
        from_disk(first)
        told = subprocess.run(line, check=True, capture_output=True, text=True)
        cold.append((ours, float(told.stdout)))
    ours, theirs = (min(side) for side in zip(*cold, strict=True))
    yield (
        f"  the same, read from the disk     {theirs * 1000:8.1f} ms  "
        f"{theirs / ours:.1f} times ours ({ours * 1000:.1f} ms)"
    )
    judged_once = judge(item, open_store=OPEN, settings=means)
    yield (
        f"  from a bucket it takes           {judged_once.bytes_read / 1e6:8.1f} MB  "
        f"instead of {first.stat().st_size / 1e6:.1f}"
    )


def run(folder: Path, *arguments: str, workers: int, env: dict[str, str] | None = None) -> Any:
    """The command, and the manifest it prints."""
    line = [sys.executable, "-m", "filmgate", "run", "gameplay", "--no-ingest", "--json"]
    given = {**os.environ, "FILMGATE_HOME": str(folder / "home"), **(env or {})}
    told = subprocess.run(
        [*line, *arguments, "--workers", str(workers)],
        check=True, capture_output=True, text=True, env=given, cwd=folder,
    )  # fmt: skip
    return json.loads(told.stdout)


def again(folder: Path, files: int) -> Iterator[str]:
    """A thousand files, judged, and judged again with another check."""
    first = next((folder / "pt").glob("*.pt"))
    many = folder / "many"
    many.mkdir()
    for number in range(files):
        os.link(first, many / f"{number:05}.pt")
    workers = os.cpu_count() or 1
    yield f"{files} files (one file by as many names: read from memory), {workers} workers"
    for told, checks in (
        ("v2, all nine checks", "v2"),
        ("v1", "v1"),
        ("one that needs no frames", "is_rate_low"),
        ("one that needs frames", "is_video_mostly_dark"),
    ):
        began = time.perf_counter()
        made = run(
            folder, "--stage", "manifest", "--manifest-bucket", str(many), "--checks", checks,
            workers=workers,
        )  # fmt: skip
        took = time.perf_counter() - began
        assert made["stages"]["manifest"]["counts"]["rows"] == files
        yield f"  {told:32} {took:8.1f} s   {files / took:7.1f} sessions/s, from start to end"


def on_ray(folder: Path, archive: Path) -> Iterator[str]:
    """Two Ray nodes beside one worker."""
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
    listed = folder / "several.txt"
    listed.write_text("".join(f"{number}.tar\n" for number in range(count)))
    common = ("--stage", "extraction", "--no-skip-existing", "--task-list", str(listed),
              "--source-bucket", str(source))  # fmt: skip

    def took(*more: str, workers: int, **env: str) -> float:
        made = run(folder, *common, *more, workers=workers, env=env)["stages"]["extraction"]
        assert made["counts"]["extracted"] == count
        return float(made["duration_s"])

    one = took("--manifest-bucket", str(folder / "one"), workers=1)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    try:
        ray_two = took("--manifest-bucket", str(folder / "two"), "--executor", "ray", workers=2,
                       RAY_ADDRESS=cluster.address)  # fmt: skip
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call] # as Ray has it
    yield f"{count} archives, {os.cpu_count()} CPUs in all"
    yield f"  one worker                       {one:8.1f} s   (its decoder uses all CPUs)"
    yield f"  two Ray nodes                    {ray_two:8.1f} s   {one / ray_two:.2f} times as fast"
    same = all(
        (folder / "one" / f"{n}.pt").read_bytes() == (folder / "two" / f"{n}.pt").read_bytes()
        for n in range(count)
    )
    yield f"  the same bytes: {'yes' if same else 'NO'}"


def main() -> None:
    """Measure everything, and write the page where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--files", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        archive, video = a_session(folder)
        parts: list[list[str]] = []
        for part in (
            extraction(folder, archive, video),
            manifest(folder),
            again(folder, asked.files),
            on_ray(folder, archive),
        ):
            parts.append([])
            for line in part:
                print(line, flush=True)
                parts[-1].append(line)
            print()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    told = "\n\n".join("\n".join(lines) for lines in parts) + f"\n\nmemory: {most} MiB"
    print(f"memory: {most} MiB")
    if asked.write:
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        where = f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}"
        write_section(
            "gameplay",
            "# Game sessions\n\n"
            f"*Written by `python benchmarks/gameplay.py --write`.* {day}, {where}.\n"
            "The limit of extraction is decoding the same frames and nothing else; that of checks, "
            "reading the\nbytes they need and computing bare means.\n\n"
            f"```text\n{told}\n```",
        )


if __name__ == "__main__":
    main()
