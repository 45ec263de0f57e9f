"""Work on items that runs in any executor: functions of a module."""

import io
import os
import signal
import threading
import time
from pathlib import Path

from filmgate.tools.limits import bounded, check_time


def double(item: int) -> int:
    """Twice the item; a multiple of seven is refused."""
    if item % 7 == 0:
        raise ValueError(f"{item} is a multiple of seven")
    return item * 2


def slow_first(item: int) -> int:
    """Later items are done sooner."""
    time.sleep(0.05 / (item + 1))
    return item


def die_once(place: tuple[str, int]) -> int:
    """Kills its own worker the first time that item 3 is worked on."""
    folder, item = place
    died = Path(folder) / "died"
    if item == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def die_always(item: int) -> int:
    """Item 2 kills every worker."""
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def unspeakable(item: int) -> object:
    """A value that cannot leave its process."""
    return threading.Lock() if item == 1 else item


def linger(folder: str) -> None:
    """Works on after its runner, and says so."""
    (Path(folder) / "begun").write_text(str(os.getpid()))
    time.sleep(60)


def where_it_runs(place: tuple[str, int]) -> int:
    """Leaves a mark that names the process's parent: the node."""
    folder, item = place
    time.sleep(0.15)
    (Path(folder) / f"item-{item}").write_text(str(os.getppid()))
    return item


def tell_a_secret(item: int) -> int:
    """Item 0 fails, and says too much."""
    if item == 0:
        raise RuntimeError("https://me:hunter2@host refused password=hunter2")
    return item


def never_ends(is_long: int) -> int:
    """Works on an item within a fifth of a second; an endless one does not end by itself."""
    with bounded(seconds=0.2, memory_bytes=1 << 30):
        while is_long:
            time.sleep(0.01)
    return is_long


def fills_memory(is_large: int) -> int:
    """Works on an item within 64 MiB."""
    with bounded(seconds=60, memory_bytes=64 << 20):
        return len(bytearray(1 << 30)) if is_large else 0


def reads_for_ever(is_slow: int) -> int:
    """Decodes, within a fifth of a second, a video that comes so slowly that it takes longer: its
    library swallows whatever is raised while it reads."""
    if not is_slow:
        return 0
    import av

    with bounded(seconds=0.2, memory_bytes=1 << 30):
        made = io.BytesIO()
        with av.open(made, "w", format="matroska") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(50):
                container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
            container.mux(stream.encode())
        with av.open(Slow(made.getvalue()), "r") as container:
            for _ in container.demux():
                check_time()
    return is_slow


class Slow(io.BytesIO):
    """Bytes that come late."""

    def read(self, size: int | None = -1) -> bytes:
        time.sleep(0.3)
        return super().read(size)
