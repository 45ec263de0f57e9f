"""Logging to stderr with structlog: text if stderr is a terminal, else JSON lines."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog
from structlog.typing import EventDict, WrappedLogger

from filmgate.core.digest import canonical_json
from filmgate.core.os_errors import error_from_os
from filmgate.core.redaction import redact
from filmgate.store.durable import append_line


def configure(level: str) -> None:
    """Configure structlog to log events of at least `level`."""
    is_terminal = sys.stderr.isatty()
    renderer = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class StructlogHandler(logging.Handler):
    """Logs the records of libraries with structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record as the event `library`, with its traceback if it has one."""
        fields: dict[str, object] = {"logger": record.name, "message": record.getMessage()[:2000]}
        if record.exc_info is not None:
            fields["trace"] = logging.Formatter().formatException(record.exc_info)[-4000:]
        structlog.get_logger().log(record.levelno, "library", **fields)


def capture_library_warnings() -> None:
    """Log warnings of libraries through structlog too; for long-running programs."""
    root = logging.getLogger()
    root.handlers[:] = [StructlogHandler()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class LogFile:
    """Event sink that writes JSON lines to a file; several processes may append to the file."""

    def __init__(self, path: Path, level: str) -> None:
        """Create the file if it is missing; raises FilmgateError if it cannot be written."""
        self._path = path
        self._min_level = getattr(logging, level)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            append_line(str(path), b"")
        except OSError as error:
            raise error_from_os(error) from error

    def __call__(self, event: Mapping[str, object]) -> None:
        """Append an event if its level is high enough; an OSError is logged, not raised."""
        if getattr(logging, str(event["level"]).upper()) >= self._min_level:
            try:
                append_line(str(self._path), canonical_json(dict(event)) + b"\n")
            except OSError as error:
                structlog.get_logger().warning("log_file.failed", error=str(error))


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    redacted: EventDict = redact(event)
    return redacted
