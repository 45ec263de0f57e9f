"""Jobs: runs that are submitted to a queue and executed by workers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filmgate.core.access import Caller
from filmgate.core.errors import Invalid, NotPermitted
from filmgate.core.ids import parse_asset_id
from filmgate.core.jobs import JobAnswer, JobRequest
from filmgate.core.pipeline import InputKind
from filmgate.core.plan import Place
from filmgate.core.records import RunHead
from filmgate.core.run_request import RunRequest
from filmgate.db.jobs import JobStore
from filmgate.services.run_options import RunOptions, parse_pipeline_options
from filmgate.services.runs import Runs
from filmgate.store.home import Home
from filmgate.store.uploads import Uploads
from filmgate.wiring import pipelines
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings


class JobService:
    """Submits jobs. Each call opens a database session."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._database = database or Database(settings)
        self._runs = Runs(settings, self._database)
        self._uploads = Uploads(Home(settings.home.expanduser()).root)

    def prepare(self) -> None:
        """Create the queue's tables, or migrate them to the installed version of the library."""
        with self.store() as store:
            store.prepare()

    def submit(self, pipeline: str, request: JobRequest, caller: Caller) -> JobAnswer:
        """Reserve the run of a request, and add a job to the queue.

        Raises Invalid or NotFound if the input is unusable, NotPermitted if a path is outside
        FILMGATE_SOURCES or another user submitted the run, and Conflict if the run has a job that
        has not ended.
        """
        self._check_setting_paths(pipeline, request)
        source = self._source_path(pipeline, request)
        with self.store():
            pass  # fails early: no run is reserved if the database is unavailable

        def check_owner(head: RunHead) -> None:
            previous = self.latest(head.asset.id, head.run_id)
            if previous is not None:
                caller.require_owner(previous.submitted_by, f"run {head.run_id} of {head.asset.id}")

        # This reads the whole input, so no database connection is held during the call.
        head = self._runs.reserve(pipeline, source, parse_options(pipeline, request), check_owner)
        with self.store() as store:
            return store.submit(
                request,
                pipeline=pipeline,
                asset_id=head.asset.id,
                run_id=head.run_id,
                source=str(source),
                submitted_by=caller.user,
            )

    def latest(self, asset_id: str, run_id: str) -> JobAnswer | None:
        """Return the latest job of a run; None if it has none."""
        with self.store() as store:
            return store.latest(asset_id, run_id)

    @contextmanager
    def store(self) -> Iterator[JobStore]:
        """Open a database session with the stored jobs, to read or cancel them."""
        with self._database.session() as connection:
            yield JobStore(connection)

    def _source_path(self, pipeline: str, request: JobRequest) -> Path:
        """Return the path of a job's input: the source, or the uploaded video."""
        if request.source is not None:
            return self._permitted_path(request.source, "source")
        if request.asset_id is None:
            raise Invalid(
                "the input of the job is missing",
                expected="asset_id of an uploaded video, or a source",
                got="neither",
            )
        if pipelines.load(pipeline).inputs.kind is not InputKind.FILE:
            raise Invalid(
                f"an uploaded video is not an input of pipeline {pipeline}",
                expected="a source in one of the folders of FILMGATE_SOURCES",
                got=f"asset_id {request.asset_id!r} alone",
            )
        return self._uploads.require(parse_asset_id(request.asset_id)).path

    def _permitted_path(self, path: str, what: str) -> Path:
        """Resolve the symbolic links of a path and return it; raise NotPermitted if the result is
        not in a folder of FILMGATE_SOURCES. `what`: name of the parameter, for the message."""
        roots = [root.expanduser().resolve() for root in self._settings.source_folders]
        if "\0" not in path:
            for root in roots:
                try:
                    found = (root / Path(path).expanduser()).resolve()
                except (OSError, RuntimeError):
                    continue
                if found.is_relative_to(root) and found.exists():
                    return found
        raise NotPermitted(
            f"the path in {what} is not permitted",
            expected="an existing path in one of the folders of FILMGATE_SOURCES",
            got=repr(path[:200]) if roots else "no folder in FILMGATE_SOURCES",
            hint="Upload the file (POST /v1/videos), or ask an administrator of the service",
        )

    def _check_setting_paths(self, pipeline: str, request: JobRequest) -> None:
        """Raise NotPermitted if a setting names a place that the service does not permit.

        The check uses the values that the pipeline parsed from the request, not the text of the
        request. A setting without the metadata `Place` is checked if it looks like a path.
        """
        options, loaded = parse_options(pipeline, request), pipelines.load(pipeline)
        config = loaded.resolve(options.profile, options.settings)
        for name in options.settings:
            stage, setting = loaded.find_setting(name)
            field = loaded.plan.find_stage(stage).settings.model_fields[setting]
            is_place = any(isinstance(each, Place) for each in field.metadata)
            for text in _strings(config[stage][setting]):
                is_path = "/" in text or "\\" in text or text.strip().startswith((".", "~"))
                if (is_place or is_path) and not text.startswith("s3://"):
                    self._check_place(text, name)

    def _check_place(self, path: str, name: str) -> None:
        """Raise NotPermitted if a path is relative, or neither it nor its folder is permitted.

        The worker would resolve a relative path in its current folder.
        """
        if not Path(path).is_absolute():
            raise NotPermitted(
                f"the path in {name} is not permitted",
                expected="s3://bucket/prefix, or an absolute path in a folder of FILMGATE_SOURCES",
                got=repr(path[:200]),
            )
        place = Path(path)
        self._permitted_path(path if os.path.lexists(place) else str(place.parent), name)


def parse_options(pipeline: str, request: JobRequest) -> RunOptions:
    """Convert a job request to the run options that the command line would create.

    Raises UsageError if an option of the pipeline is unknown, invalid or missing.
    """
    shared = request.model_dump(include=set(RunRequest.model_fields) - {"settings"})
    own = parse_pipeline_options(pipelines.load(pipeline), request.options)
    return RunOptions(**shared, settings={**own.stage_settings(), **request.settings})


def _strings(value: object) -> Iterator[str]:
    """Yield all strings in a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
