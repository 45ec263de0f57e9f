"""Settings: read once, from the environment and `filmgate.toml`; frozen."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from filmgate.core.errors import Invalid
from filmgate.core.ids import ENV_PATTERN


class Settings(BaseSettings):
    """Each field can be set as `FILMGATE_{NAME}` or in `filmgate.toml` in the current folder."""

    model_config = SettingsConfigDict(
        env_prefix="FILMGATE_",
        toml_file="filmgate.toml",
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
    )

    home: Path = Path(".filmgate")
    """Where runs and the embedded database live."""
    models: Path | None = None
    """Where models live that were added; by default `models` in the home."""
    database_url: Annotated[str, Field(pattern=r"^postgres(ql)?://")] | None = None
    """A PostgreSQL server; without it, the embedded one is used."""
    producer: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")] = "local"
    """The name of this installation, as others who take in its runs know it."""
    env: Annotated[str, Field(pattern=ENV_PATTERN)] = "dev"
    """What kind of work is done here (`dev`, `prod`); stands in every manifest."""

    publish_to: str | None = None
    """Where runs are published: `s3://bucket/prefix`, or a folder; `--to` names another."""
    sync_source: str = "outbox"
    """Where `filmgate sync` learns of runs: `outbox`, an address like `publish_to`, or
    `postgresql://…` for the outbox of another database."""
    sync_poll_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """How long `filmgate sync --follow` waits before it looks again, in seconds."""
    sync_concurrency: Annotated[int, Field(ge=1, le=64)] = 8
    """How many files go up, or manifests come in, at once."""
    sync_lease_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """How long a manifest that a consumer is at is nobody else's, in seconds; where a consumer is
    killed, others go on with what it was at after that."""
    s3_endpoint: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """An S3 server; without it `AWS_ENDPOINT_URL`, else Amazon's."""
    s3_region: str | None = None
    """Its region; without it `AWS_REGION`, else us-east-1."""
    s3_path_style: bool = True
    """Whether the bucket stands in the path of an address, not in its host name."""
    s3_auth: Literal["auto", "environment", "profile", "anonymous"] = "auto"
    """Where credentials come from: variables and roles of the machine, a profile of the shared
    AWS configuration, nowhere; `auto` takes a profile where one is named."""
    s3_profile: str | None = None
    """The profile; without it `AWS_PROFILE`."""

    sources: str = ""
    """Folders, parted by `:`, whose files jobs may run on that are submitted over HTTP."""
    hosts: str = ""
    """Names, by comma, under which `filmgate serve` is reached besides those of this machine."""
    upload_limit_mb: Annotated[int, Field(ge=1)] = 20_000
    """How large a video may be that is uploaded, in MB."""
    rate_per_s: Annotated[float, Field(ge=0)] = 100.0
    """How many requests a second a caller may make on average; 0: as many as they like."""
    connections_per_address: Annotated[int, Field(ge=0)] = 500
    """How many connections one client address may have open; 0: no limit. Trusted proxies are
    exempt."""
    job_memory_mb: Annotated[int, Field(ge=128)] | None = None
    """How much memory a job may take with all its processes; without it, an even part of four
    fifths of the machine's."""
    job_tries: Annotated[int, Field(ge=1, le=100)] = 5
    """How often a job is begun that dies, or finds a service away."""
    worker_silence_s: Annotated[float, Field(ge=2, le=3600)] = 30.0
    """After how long without a word a worker's jobs are taken over by others, in seconds."""
    worker_grace_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long a worker that is to stop waits for its jobs, before it hands them back."""

    metrics_file: Path | None = None
    """Where what stages measure is written while they run, for Prometheus' textfile collector."""
    export: Annotated[str, Field(pattern=r"^[a-z, ]*$")] = ""
    """Who else hears of runs: `opentelemetry`, `openlineage`, or both, by comma."""

    @property
    def source_folders(self) -> tuple[Path, ...]:
        """The folders of `sources`."""
        return tuple(Path(each) for each in self.sources.split(":") if each)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - named by the library
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load() -> Settings:
    """Read the settings, or raise Invalid naming each bad one."""
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors()
        )
        raise Invalid(
            "the settings are not usable",
            got=faults,
            hint="Mend the variable FILMGATE_{NAME} or the line in filmgate.toml",
        ) from error
    except ValueError as error:
        raise Invalid("filmgate.toml cannot be read", got=str(error)) from error
