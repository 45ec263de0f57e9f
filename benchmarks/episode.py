"""The episode pipeline: its speed relative to the length of a film, and its time by stage.

Run: python benchmarks/episode.py [VIDEO] [--write]

The default for VIDEO is the 720p clip of the test data, if it exists, else the demo film. Each
profile is run with `--jobs 2`, as on the command line. Then each stage is run alone in this
process, and the time of every model call and every decoded frame is measured; the rest is spent in
the stage itself. Memory is measured on a film and on the same film repeated ten times.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av

from filmgate.core.progress import NullObserver
from filmgate.pipelines.episode import frame_sampling
from filmgate.pipelines.episode.stages import faces as faces_stage
from filmgate.pipelines.episode.stages import scenes as scenes_stage
from filmgate.services.run_options import RunOptions
from filmgate.services.runs import Runs
from filmgate.tools import body_models, decoding, face_models, frame_change, text_models
from filmgate.tools.sample_film import compose_film
from filmgate.wiring import logs
from filmgate.wiring.settings import Settings
from page_sections import write_section

DATA = Path(os.environ.get("FILMGATE_TEST_DATA", "../shared/data"))
CLIP = "scenes/testvideo.mp4"
REPEATED = 3
"""How often the film is repeated: for more than a minute, the cost of starting a run (some 4 s) is
small."""

MEMORY_REPEATS = 10
TARGETS = {"fast": 0.5, "balanced": 1.5}
"""Profile → target for the time of a run, as a share of the film's length."""
MODELS = (
    (face_models.DlibFaceDetector, ("detect",)),
    (face_models.DlibFollower, ("start", "follow")),
    (face_models.DlibFaceEmbedder, ("crop", "embed")),
    (body_models.HogBodies, ("detect",)),
    (text_models.RapidReader, ("read",)),
    (frame_change.ChangeMeter, ("measure",)),
)
"""Classes and methods of the models that stages call."""

MODEL_STAGES = ("scenes", "detect", "faces", "body_tracking", "ocr")


class Stopwatch:
    """Adds up the time spent in wrapped functions."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time measured."""

        def timed(*arguments: Any, **keywords: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                self.seconds += time.perf_counter() - started

        return timed

    def wrap_iterator(self, items: Iterator[Any]) -> Iterator[Any]:
        """Yield the items, with the time of waiting for them measured."""
        next_item = self.wrap(lambda: next(items, None))
        while (item := next_item()) is not None:
            yield item


@contextmanager
def patched_stopwatches() -> Iterator[tuple[Stopwatch, Stopwatch]]:
    """Measure every model call with one stopwatch, and decoding and conversion with another."""
    models, decoded = Stopwatch(), Stopwatch()
    iterate_frames = decoding.VideoReader.__iter__
    with ExitStack() as stack:
        for owner, names in MODELS:
            for name in names:
                timed = models.wrap(getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timed))
        stack.enter_context(
            mock.patch.object(
                decoding.VideoReader,
                "__iter__",
                lambda self: decoded.wrap_iterator(iterate_frames(self)),
            )
        )
        for module, name in (
            (frame_sampling, "upright"),
            (faces_stage, "upright"),
            (scenes_stage, "pixels"),
        ):
            stack.enter_context(
                mock.patch.object(module, name, decoded.wrap(getattr(module, name)))
            )
        yield models, decoded


def measure_stages(home: Path, video: Path, profile: str) -> list[str]:
    """Run each stage alone; return a line with its time in models and in decoding."""
    lines = []
    runs = Runs(Settings(home=home))
    logs.configure("WARNING")
    for stage in ("probe", *MODEL_STAGES):
        options = RunOptions(run_id="stages", profile=profile, stages=(stage,), ingest=False)
        with patched_stopwatches() as (models, decoded):
            report = runs.run("episode", video, options, NullObserver(), lambda *_: None)
        entry = report.manifest.stages[stage]
        total = entry.duration_s or 0.0
        bare = (models.seconds + decoded.seconds) / total
        decoding_share = decoded.seconds / total
        lines.append(
            f"  {stage:<14}{total:7.2f} s   models {models.seconds / total:5.0%}   "
            f"decoding {decoding_share:5.0%}   bare/stage {bare:5.2f}"
        )
    return lines


def run_command(home: Path, video: Path, profile: str) -> tuple[float, float, int]:
    """Run the command; return (film length in s, time of the run in s, peak memory in KiB)."""
    command = [sys.executable, "-m", "filmgate", "run", "episode", str(video), "--no-ingest"]
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], "
        "stdout=subprocess.PIPE); sys.stdout.buffer.write(done.stdout); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--profile", profile, "--jobs", "2", "--json"],
        env={**os.environ, "FILMGATE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    manifest = json.loads(done.stdout)
    assert manifest["status"] == "SUCCESS", manifest["status"]
    memory = int(done.stderr.strip().splitlines()[-1])
    return manifest["stages"]["probe"]["metrics"]["duration_ms"] / 1000, seconds, memory


def repeat_film(video: Path, path: Path, times: int) -> Path:
    """Write the film several times in a row, with picture and sound; packets are only copied."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        streams = [source.streams.video[0], *source.streams.audio[:1]]
        target_streams: dict[int, Any] = {
            stream.index: target.add_stream_from_template(stream) for stream in streams
        }
        length = Fraction(source.duration or 0, av.time_base)
        for number in range(times):
            source.seek(0)
            for packet in source.demux(streams):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                offset = int(number * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                packet.stream = target_streams[packet.stream.index]
                target.mux(packet)
    return path


def measure(video: Path) -> str:
    """Measure everything; return the figures as text."""
    with av.open(str(video)) as source:
        stream = source.streams.video[0]
        size = f"{stream.width} × {stream.height}"
        rate = Fraction(stream.average_rate or 0)
    lines = [
        f"{video.name}, {size}, {float(rate):.1f} frames per second, repeated {REPEATED} times",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        film = repeat_film(video, root / "film.mp4", REPEATED)
        for profile, target in TARGETS.items():
            length, seconds, _ = run_command(root / profile, film, profile)
            lines.append(
                f"{profile:<10} {seconds / length:5.2f} of real time (target {target}): "
                f"{seconds:.1f} s for {length:.1f} s"
            )
            lines += [*measure_stages(root / f"{profile}-stages", film, profile), ""]
        short = repeat_film(video, root / "short.mp4", 1)
        long = repeat_film(video, root / "long.mp4", MEMORY_REPEATS)
        _, _, short_kib = run_command(root / "memory", short, "fast")
        _, _, long_kib = run_command(root / "memory", long, "fast")
        lines.append(
            f"memory, fast: {short_kib / 1024:.0f} MiB; {MEMORY_REPEATS} times the length "
            f"{long_kib / 1024:.0f} MiB ({long_kib / short_kib:.2f} x, target 1.2)"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the figures, and write the section of the page if requested."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--write", action="store_true", help="write docs/explanation/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or DATA / CLIP
        if not video.exists():
            video = Path(folder) / "demo.mp4"
            compose_film(video, lambda *_: None)
        text = measure(video)
    print(text)
    if options.write:
        write_section("episode", section(text))


def section(text: str) -> str:
    """Return the section of the page."""
    return f"""
# The episode pipeline

*Written by `python benchmarks/episode.py --write`.* {datetime.now(UTC):%Y-%m-%d}, Python
{platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}. The whole command runs
with `--jobs 2`. Then each stage runs alone, and every call of a model and every decoded picture is
timed. *bare/stage* is the time of both divided by the time of the stage; the rest is spent in the
stage itself.

```text
{text}
```
"""


if __name__ == "__main__":
    main()
