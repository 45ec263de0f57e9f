"""The episode pipeline: how fast for how long a film, and where its time goes.

Run: python benchmarks/episode.py [VIDEO] [--write]

Without VIDEO, the 720p clip of the test data, else the demo film. Each profile is run with
`--jobs 2`, as a person runs it; then, one stage at a time and in this process, with a clock around
every call of a model and every picture decoded. What is neither is the stage's own. Memory is
measured on a film and on the same film ten times over.
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

from filmgate.app import logs
from filmgate.app.run_options import RunOptions
from filmgate.app.settings import Settings
from filmgate.app.system import System
from filmgate.engine.journal import Unwatched
from filmgate.pipelines.episode import looking
from filmgate.pipelines.episode.stages import faces as faces_stage
from filmgate.pipelines.episode.stages import scenes as scenes_stage
from filmgate.tools import body_models, decoding, face_models, frame_change, text_models
from filmgate.tools.demo_film import compose
from written import write_section

DATA = Path(os.environ.get("FILMGATE_TEST_DATA", "../shared/data"))
CLIP = "scenes/testvideo.mp4"
REPEATED = 3
"""A minute and more: what a run costs at its start (some 4 s) counts little then."""

TIMES = 10
AIMS = {"fast": 0.5, "balanced": 1.5}
MODELS = (
    (face_models.DlibFaceDetector, ("detect",)),
    (face_models.DlibFollower, ("start", "follow")),
    (face_models.DlibFaceEmbedder, ("crop", "embed")),
    (body_models.HogBodies, ("detect",)),
    (text_models.RapidReader, ("read",)),
    (frame_change.ChangeMeter, ("measure",)),
)
"""What stages call for their real work."""

MODELLED = ("scenes", "detect", "faces", "body_tracking", "ocr")


class Clock:
    """Time spent inside calls that may not be told apart by a profile of threads."""

    def __init__(self) -> None:
        self.spent = 0.0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same, with its time counted."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*arguments, **named)
            finally:
                self.spent += time.perf_counter() - began

        return timed

    def over(self, items: Iterator[Any]) -> Iterator[Any]:
        """The items, each waited for by this clock."""
        following = self.around(lambda: next(items, None))
        while (item := following()) is not None:
            yield item


@contextmanager
def clocks() -> Iterator[tuple[Clock, Clock]]:
    """A clock around every call of a model, and one around decoding and conversion."""
    models, decoded = Clock(), Clock()
    pictures = decoding.VideoReader.__iter__
    with ExitStack() as stack:
        for owner, names in MODELS:
            for name in names:
                timed = models.around(getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, timed))
        stack.enter_context(
            mock.patch.object(
                decoding.VideoReader, "__iter__", lambda self: decoded.over(pictures(self))
            )
        )
        for module, name in (
            (looking, "upright"),
            (faces_stage, "upright"),
            (scenes_stage, "pixels"),
        ):
            stack.enter_context(
                mock.patch.object(module, name, decoded.around(getattr(module, name)))
            )
        yield models, decoded


def parts(home: Path, video: Path, profile: str) -> list[str]:
    """Stage by stage: how much of its time is models, how much decoding."""
    lines = []
    system = System(Settings(home=home))
    logs.configure("WARNING")
    for stage in ("probe", *MODELLED):
        options = RunOptions(run_id="parts", profile=profile, stages=(stage,), ingest=False)
        with clocks() as (models, decoded):
            report = system.run("episode", video, options, Unwatched(), lambda *_: None)
        entry = report.manifest.stages[stage]
        whole = entry.duration_s or 0.0
        bare = (models.spent + decoded.spent) / whole
        share = decoded.spent / whole
        lines.append(
            f"  {stage:<14}{whole:7.2f} s   models {models.spent / whole:5.0%}   "
            f"decoding {share:5.0%}   bare/stage {bare:5.2f}"
        )
    return lines


def ran(home: Path, video: Path, profile: str) -> tuple[float, float, int]:
    """(seconds of the film, seconds it took, KiB of memory at most)."""
    command = [sys.executable, "-m", "filmgate", "run", "episode", str(video), "--no-ingest"]
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:], "
        "stdout=subprocess.PIPE); sys.stdout.buffer.write(done.stdout); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--profile", profile, "--jobs", "2", "--json"],
        env={**os.environ, "FILMGATE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.perf_counter() - began
    manifest = json.loads(done.stdout)
    assert manifest["status"] == "SUCCESS", manifest["status"]
    memory = int(done.stderr.strip().splitlines()[-1])
    return manifest["stages"]["probe"]["metrics"]["duration_ms"] / 1000, took, memory


def repeated(video: Path, path: Path, times: int) -> Path:
    """The film several times over, picture and sound, its packets copied as they are."""
    with av.open(str(video)) as source, av.open(str(path), "w") as written:
        wanted = [source.streams.video[0], *source.streams.audio[:1]]
        targets: dict[int, Any] = {
            stream.index: written.add_stream_from_template(stream) for stream in wanted
        }
        length = Fraction(source.duration or 0, av.time_base)
        for number in range(times):
            source.seek(0)
            for packet in source.demux(wanted):
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                shift = int(number * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = targets[packet.stream.index]
                written.mux(packet)
    return path


def measured(video: Path) -> str:
    """All numbers, as text."""
    with av.open(str(video)) as source:
        stream = source.streams.video[0]
        size = f"{stream.width} × {stream.height}"
        rate = Fraction(stream.average_rate or 0)
    lines = [f"{video.name}, {size}, {float(rate):.1f} frames a second, {REPEATED} times over", ""]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        film = repeated(video, root / "film.mp4", REPEATED)
        for profile, aim in AIMS.items():
            length, took, _ = ran(root / profile, film, profile)
            lines.append(
                f"{profile:<10} {took / length:5.2f} of real time (aim {aim}): "
                f"{took:.1f} s for {length:.1f} s"
            )
            lines += [*parts(root / f"{profile}-parts", film, profile), ""]
        once = repeated(video, root / "once.mp4", 1)
        often = repeated(video, root / "often.mp4", TIMES)
        _, _, small = ran(root / "memory", once, "fast")
        _, _, large = ran(root / "memory", often, "fast")
        lines.append(
            f"memory, fast: {small / 1024:.0f} MiB; {TIMES} times the length "
            f"{large / 1024:.0f} MiB ({large / small:.2f} x, aim 1.2)"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write where that was asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--write", action="store_true", help="into docs/explanation/benchmarks.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = asked.video or DATA / CLIP
        if not video.exists():
            video = Path(folder) / "demo.mp4"
            compose(video, lambda *_: None)
        text = measured(video)
    print(text)
    if asked.write:
        write_section("episode", page(text))


def page(text: str) -> str:
    """The section of the benchmarks' page."""
    return f"""
# The episode pipeline

*Written by `python benchmarks/episode.py --write`.* {datetime.now(UTC):%Y-%m-%d},
Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()}. The whole command
with `--jobs 2`, then stage by stage with a clock around every call of a model and every picture
decoded; *bare/stage* is both against the stage, and what is missing to 1 is the stage's own.

```text
{text}
```
"""


if __name__ == "__main__":
    main()
