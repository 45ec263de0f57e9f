"""Settings of the installation, read from the environment and `filmgate.toml`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from filmgate.core.errors import Invalid
from filmgate.core.ids import DEFAULT_SCHEMA, ENV_PATTERN
from filmgate.wiring.clock import parse_period

RESERVED_SCHEMAS = frozenset(
    {"public", "information_schema", "pipeline", "screenalytics", "access", "corpus", "queue"}
)
"""Schemas of PostgreSQL, of views for products, and of the tables of earlier releases."""


def _check_schema(name: str) -> str:
    if name in RESERVED_SCHEMAS or name.startswith("pg_"):
        raise ValueError(f"schema {name} is reserved")
    return name


def _parse_period(value: object) -> timedelta:
    period = parse_period(value) if isinstance(value, str) else value
    if not isinstance(period, timedelta):
        message = "the period is invalid; expected 30m, 12h, 7d or 2w, for example"
        raise ValueError(message)  # noqa: TRY004 - Pydantic translates only ValueError
    return period


Period = Annotated[timedelta, BeforeValidator(_parse_period)]
"""A period of time: a number of minutes, hours, days or weeks, such as `30m`, `12h`, `7d`, `2w`."""


class Settings(BaseSettings):
    """Each setting can be set as `FILMGATE_{NAME}`, or in `filmgate.toml` in the current folder."""

    model_config = SettingsConfigDict(
        env_prefix="FILMGATE_",
        env_prefix_target="all",
        toml_file="filmgate.toml",
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
    )

    home: Path = Path(".filmgate")
    """Folder of runs, uploads and the embedded database."""
    models: Path | None = None
    """Folder of model weights; default: `models` in the home."""
    database_url: Annotated[str, Field(pattern=r"^postgres(ql)?://")] | None = None
    """URL of a PostgreSQL server; default: the embedded one."""
    database_schema: Annotated[
        str,
        Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$", validation_alias="schema"),
        AfterValidator(_check_schema),
    ] = DEFAULT_SCHEMA
    """`FILMGATE_SCHEMA`: the schema in the database that contains all tables of this installation;
    several installations with different schemas can share a database."""
    producer: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = "local"
    """Name of this installation in the runs that it publishes."""
    env: Annotated[str, Field(pattern=ENV_PATTERN)] = "dev"
    """Name of the environment, such as `dev` or `prod`; written to every manifest."""

    publish_to: str | None = None
    """Where runs are published, unless `--to` is given: `s3://bucket/prefix`, or a folder."""
    sync_source: str = "outbox"
    """Where `filmgate sync` finds published runs: `outbox`, an address like `publish_to`, or
    `postgresql://…` for the outbox of another database."""
    sync_poll_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """Time between two polls of `filmgate sync --follow`, in seconds."""
    sync_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """Number of files to upload, or manifests to ingest, at the same time."""
    sync_lease_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Time for which a consumer claims a manifest, in seconds. If the consumer is killed, another
    consumer can ingest the manifest after this time."""
    s3_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """URL of an S3 server; default: `AWS_ENDPOINT_URL`, else Amazon's."""
    s3_region: str | None = None
    """Region of the S3 server; default: `AWS_REGION`, else us-east-1."""
    s3_path_style: bool = True
    """Whether S3 URLs contain the bucket in the path instead of the host name."""
    s3_auth: Literal["auto", "environment", "profile", "anonymous"] = "auto"
    """Source of S3 credentials: `environment` (variables and roles of the machine), `profile` (of
    the shared AWS configuration), `anonymous` (none), or `auto` (`profile` if one is named, else
    `environment`)."""
    s3_profile: str | None = None
    """Profile of the shared AWS configuration; default: `AWS_PROFILE`."""

    sources: str = ""
    """Folders, separated by `:`, whose files are permitted as inputs of jobs over HTTP."""
    hosts: str = ""
    """Host names of `filmgate serve`, separated by commas, besides those of this machine."""
    upload_limit_mb: Annotated[int, Field(ge=1)] = 20_000
    """Size limit of an uploaded video, in MB."""
    rate_per_s: Annotated[float, Field(ge=0)] = 100.0
    """Limit of a caller's average number of requests per second; 0: no limit."""
    connections_per_address: Annotated[int, Field(ge=0)] = 500
    """Limit of open connections per client address; 0: no limit. Trusted proxies are exempt."""
    session_idle: Annotated[Period, Field(ge=timedelta(minutes=5), le=timedelta(days=3650))] = (
        timedelta(hours=12)
    )
    """Time without a request after which a browser session ends, such as `30m` or `12h`."""
    session_lifetime: Annotated[Period, Field(ge=timedelta(minutes=5), le=timedelta(days=3650))] = (
        timedelta(days=7)
    )
    """Time since its start after which a browser session ends, such as `12h` or `7d`."""
    job_memory_mb: Annotated[int, Field(ge=128)] | None = None
    """Memory limit of a job with all its processes, in MB; default: 80 % of the machine's memory,
    divided by the number of concurrent jobs."""
    job_tries: Annotated[int, Field(ge=1, le=100)] = 5
    """Maximum number of attempts at a job if its process dies or a service is unavailable."""
    worker_silence_s: Annotated[float, Field(ge=2, le=3600)] = 30.0
    """Time without a heartbeat after which other workers take over a worker's jobs, in seconds."""
    worker_grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Time that a stopping worker waits for its jobs before it returns them to the queue, in
    seconds."""

    metrics_file: Path | None = None
    """File to which metrics of running stages are written, for Prometheus' textfile collector."""
    export: Annotated[str, Field(pattern=r"^[a-z, ]*$")] = ""
    """Targets of the export of run events, separated by commas: `opentelemetry`, `openlineage`."""

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """The folders of `sources`."""
        return tuple(Path(folder) for folder in self.sources.split(":") if folder)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Set the priority of sources: arguments, then the environment, then the file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load() -> Settings:
    """Read the settings; raises Invalid with the names of the invalid settings."""
    try:
        settings = Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors()
        )
        raise Invalid(
            "the settings are invalid",
            got=faults,
            hint="Correct the environment variable FILMGATE_… or the line in filmgate.toml",
        ) from error
    except ValueError as error:
        raise Invalid("filmgate.toml cannot be read", got=str(error)) from error
    _check_home(settings.home.expanduser())
    return settings


def _check_home(home: Path) -> None:
    """Raise Invalid if the home exists and is not a folder."""
    if home.exists() and not home.is_dir():
        raise Invalid(
            "FILMGATE_HOME is not a folder",
            expected="a folder, or a path where one can be created",
            got=str(home),
            hint="Set FILMGATE_HOME to a folder",
        )
