"""Work functions for items that run in any executor: module-level functions."""

import io
import os
import signal
import threading
import time
from pathlib import Path

from filmgate.tools.resource_limits import check_deadline, limit_resources


def double(item: int) -> int:
    """Return twice the item; raise ValueError for a multiple of seven."""
    if item % 7 == 0:
        raise ValueError(f"{item} is a multiple of seven")
    return item * 2


def slow_first(item: int) -> int:
    """Return the item; later items take less time."""
    time.sleep(0.05 / (item + 1))
    return item


def kill_worker_once(folder_and_item: tuple[str, int]) -> int:
    """Kill the worker process at item 3, the first time."""
    folder, item = folder_and_item
    died = Path(folder) / "died"
    if item == 3 and not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def kill_worker_always(item: int) -> int:
    """Kill the worker process at item 2, every time."""
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def make_unpicklable_value(item: int) -> object:
    """Return a value that cannot be pickled for item 1."""
    return threading.Lock() if item == 1 else item


def sleep_long(folder: str) -> None:
    """Write the worker's process id to the file `started`, then sleep for a minute."""
    (Path(folder) / "started").write_text(str(os.getpid()))
    time.sleep(60)


def mark_node(folder_and_item: tuple[str, int]) -> int:
    """Write a file per item with the id of the worker's parent process, which is its node's."""
    folder, item = folder_and_item
    time.sleep(0.15)
    (Path(folder) / f"item-{item}").write_text(str(os.getppid()))
    return item


def fail_with_secret(item: int) -> int:
    """Raise an error whose message contains secrets at item 0."""
    if item == 0:
        raise RuntimeError("https://me:hunter2@host refused password=hunter2")
    return item


def loop_until_timeout(is_long: int) -> int:
    """Work under a limit of 0.2 s; a long item exceeds it."""
    with limit_resources(seconds=0.2, memory_bytes=1 << 30):
        while is_long:
            time.sleep(0.01)
    return is_long


def exceed_memory(is_large: int) -> int:
    """Work under a limit of 64 MiB; a large item exceeds it."""
    with limit_resources(seconds=60, memory_bytes=64 << 20):
        return len(bytearray(1 << 30)) if is_large else 0


def read_slow_video(is_slow: int) -> int:
    """Decode a video under a limit of 0.2 s; a slow item is read so slowly that it exceeds it.

    The video library swallows exceptions that are raised while it reads.
    """
    if not is_slow:
        return 0
    import av

    with limit_resources(seconds=0.2, memory_bytes=1 << 30):
        video = io.BytesIO()
        with av.open(video, "w", format="matroska") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(50):
                container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
            container.mux(stream.encode())
        with av.open(SlowBytesIO(video.getvalue()), "r") as container:
            for _ in container.demux():
                check_deadline()
    return is_slow


class SlowBytesIO(io.BytesIO):
    """A file whose every read takes 0.3 s."""

    def read(self, size: int | None = -1) -> bytes:
        time.sleep(0.3)
        return super().read(size)


def create_file(path: str) -> int:
    """Create a file; return its permissions."""
    Path(path).touch()
    return Path(path).stat().st_mode & 0o777


def stop_own_worker(item: int) -> int:
    """Send SIGTERM to the worker, as a signal to the process group does."""
    os.kill(os.getpid(), signal.SIGTERM)
    return item
