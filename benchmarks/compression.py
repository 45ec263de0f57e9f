"""Compression of JSON responses: size and time for pages of artifacts.

    python benchmarks/compression.py [--write]

Pages of transcript segments with generated sentences, as `/v1/videos/{id}/artifacts` returns them.
Times are medians of one thread.
"""

import argparse
import platform
import random
import statistics
import time
import zlib
from datetime import UTC, datetime

from filmgate.api.examples import SEGMENT
from filmgate.api.responses import GZIP_FORMAT, GZIP_LEVEL
from filmgate.core.answers import ArtifactPage
from made_films import make_payload
from page_sections import log, logged_text, write_section

PAGES = (2, 20, 100, 1000)
"""Numbers of artifacts on a page."""

LEVELS = (1, 4, 6, 9)
ROUNDS = 100


def make_page(count: int, rng: random.Random) -> ArtifactPage:
    """Make a page of transcript segments."""
    artifacts = []
    for number in range(count):
        start_ms = number * 2600 + rng.randrange(500)
        artifacts.append(
            SEGMENT
            | {
                "artifact_id": f"{SEGMENT['artifact_id'].rpartition(':')[0]}:{number}",
                "span_start_ms": start_ms,
                "span_end_ms": start_ms + rng.randrange(400, 2400),
                "payload": make_payload("transcript.segment", number, rng),
            }
        )
    return ArtifactPage.model_validate(
        {
            "asset_id": SEGMENT["asset_id"],
            "artifacts": artifacts,
            "next_cursor": None,
            "runs": {},
            "data_source": "artifact",
        }
    )


def median_us(rounds: int, page: ArtifactPage, level: int | None) -> tuple[float, int]:
    """Return the time to write a page as JSON (`level` None) or to compress it, in microseconds,
    and the size of the result in bytes."""
    body = page.model_dump_json().encode()
    size, durations = len(body), []
    for _ in range(rounds):
        started = time.perf_counter()
        if level is None:
            page.model_dump_json().encode()
        else:
            size = len(zlib.compress(body, level, GZIP_FORMAT))
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) * 1e6, size


def main() -> None:
    """Measure all pages at all levels; with `--write`, write the section of the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    is_written = parser.parse_args().write
    log("# Compression of responses")
    log()
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    versions = f"Python {platform.python_version()}, zlib {zlib.ZLIB_RUNTIME_VERSION}"
    log(f"*Written by `python benchmarks/compression.py --write`.* {today}, {versions}.")
    log("Pages of transcript segments, as JSON and compressed.")
    log(f"The service compresses at level {GZIP_LEVEL}. Writing the JSON is timed for comparison.")
    log()
    log("```text")
    rng = random.Random(1)
    for count in PAGES:
        page = make_page(count, rng)
        written_us, plain = median_us(ROUNDS, page, None)
        log(f"{count:5} artifacts, {plain:8,} bytes       written in {written_us:8,.0f} us")
        for level in LEVELS:
            took_us, size = median_us(ROUNDS, page, level)
            log(f"      level {level}     {size:8,} bytes, {size / plain:4.0%}, {took_us:8,.0f} us")
    log("```")
    if is_written:
        write_section("compression", logged_text())


if __name__ == "__main__":
    main()
