"""Chromium, and media files for it to show."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from filmgate.core.ids import AssetId
from filmgate.store.uploads import Uploads
from support.films import COLOURS, SIZE

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
PATIENCE_S = 20.0
"""Time limit for a page to reach an expected state, in seconds."""

RATE = 25


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the Chromium on PATH without a window; skip the test where it is missing."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium on PATH: install the package chromium")
    with sync_playwright() as playwright:
        # Its sandbox does not start for root or in most containers; the pages are our own.
        browser = playwright.chromium.launch(
            executable_path=program, args=OPTIONS, chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()


def colours_in(page: Page) -> set[tuple[int, ...]]:
    """Return the colours of a screenshot of a page."""
    image = Image.open(BytesIO(page.screenshot())).convert("RGB")
    return {
        tuple(colour) for colour in np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()
    }


def write_webm(path: Path, shots: Sequence[int]) -> Path:
    """Write a VP8 film: a number of frames for each shot, each shot in one of `COLOURS`."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = RATE // 2
        numbers = [shot for shot, length in enumerate(shots) for _ in range(length)]
        for index, shot in enumerate(numbers):
            image = np.full((*SIZE[::-1], 3), COLOURS[shot % len(COLOURS)], dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_aac(path: Path, prefix: bytes = b"") -> Path:
    """Write two seconds of silence as AAC, after bytes that decoders skip."""
    memory = BytesIO()
    with av.open(memory, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for index in range(32):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 16000, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(prefix + memory.getvalue())
    return path


def store_upload(home: Path, asset_id: str, file_name: str, data: bytes) -> str:
    """Store a file as an upload without the check that it is media; return its media path."""
    uploads = Uploads(home)
    with uploads.draft(file_name) as draft:
        draft.write(data)
        uploads.save(draft, AssetId(asset_id), draft.finish(), "local", datetime.now(UTC))
    return f"/v1/videos/{asset_id}/media"
