"""Logging, configured once: words with fields on stderr, JSON where no person is watching."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from filmgate.core.digest import canonical_json
from filmgate.core.errors import NotPermitted
from filmgate.core.redaction import redact
from filmgate.store.durable import append_line


def configure(level: str) -> None:
    """Log from `level` upwards."""
    for_people = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redacted,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class Foreign(logging.Handler):
    """What libraries log, told as ours is."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line for one record; of an error with its trace, that too."""
        told: dict[str, Any] = {"logger": record.name, "message": record.getMessage()[:2000]}
        if record.exc_info is not None:
            told["trace"] = logging.Formatter().formatException(record.exc_info)[-4000:]
        structlog.get_logger().log(record.levelno, "library", **told)


def take_in_libraries() -> None:
    """Let what libraries warn of stand in the same log, in the same form: for programs that run
    long."""
    root = logging.getLogger()
    root.handlers[:] = [Foreign()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class LogFile:
    """A sink for events: one file of JSON lines, shared by all who append to it."""

    def __init__(self, path: Path, level: str) -> None:
        self._path = path
        self._least = getattr(logging, level)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            append_line(str(path), b"")
        except OSError as error:
            raise NotPermitted(
                f"{path} cannot be written",
                expected="a file to append events to",
                got=error.strerror or str(error),
                hint="Choose another --log-file",
            ) from error

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Append an event that is important enough; a full disk loses it, not the run."""
        if getattr(logging, str(event["level"]).upper()) >= self._least:
            try:
                append_line(str(self._path), canonical_json(dict(event)) + b"\n")
            except OSError as error:
                structlog.get_logger().warning("log_file.failed", error=str(error))


def _redacted(_logger: Any, _method: str, event: Any) -> Any:
    return redact(dict(event))
