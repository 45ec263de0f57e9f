"""Settings of the extraction stage and of the manifest stage."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, JsonValue, field_validator, model_validator

from filmgate.core.errors import Invalid
from filmgate.core.objects import check_prefix
from filmgate.core.plan import Place, Settings
from filmgate.core.sampling import Sampling
from filmgate.pipelines.gameplay.check_registry import V2, select_checks
from filmgate.pipelines.gameplay.contracts import MENU_FLAG_THRESHOLD

EXTRACTED_VERSION = 1
"""Version of the extraction; increased whenever the same archive gives another result."""


class ExtractionSettings(Settings):
    """Where archives and `.pt` files are stored, and which frames are sampled."""

    source_bucket: Annotated[str, Place()] = "game-data"
    """Place of the archives: `s3://bucket/prefix`, or a folder."""
    manifest_bucket: Annotated[str, Place()] = "game-data-manifest"
    """Place of the `.pt` files: `s3://bucket/prefix`, or a folder."""
    skip_existing: bool = True
    """Whether to reuse a complete `.pt` file that was extracted with the same settings."""
    compress: bool = False
    """Whether to compress the `.pt` files."""
    strict: bool = False
    """Whether to accept only complete sessions: one video with metadata and inputs, at a constant
    frame rate, not rotated."""
    strides: dict[Annotated[int, Field(ge=1, le=10_000)], Annotated[int, Field(ge=1, le=1000)]] = (
        Field(default_factory=lambda: {3: 15, 30: 15, 60: 5})
    )
    """Series of every n-th frame: number of frames by n."""
    uniform: Annotated[int, Field(ge=0, le=1000)] = 60
    """Number of frames spread evenly over the whole video."""
    shorter_side: Annotated[int, Field(ge=16, le=2160)] = 256
    """Shorter side of the sampled frames, in pixels."""
    max_archive_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Maximum size of an archive, in MiB. The largest real session had 2.8 GB."""
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 1800
    """Maximum time for one archive, in seconds."""
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096
    """Maximum memory for one archive, in MiB, in addition to that of the idle process."""

    @model_validator(mode="after")
    def _validate_sampling(self) -> Self:
        if not self.strides and not self.uniform:
            raise ValueError("expected strides or uniform frames, got neither")
        return self

    @property
    def sampling(self) -> Sampling:
        """Which frames are sampled."""
        return Sampling(strides=self.strides, uniform=self.uniform, shorter_side=self.shorter_side)

    @property
    def facts(self) -> dict[str, JsonValue]:
        """The settings that determine the contents of a `.pt` file."""
        return {"version": EXTRACTED_VERSION, **self.sampling.model_dump(mode="json")}


class ManifestSettings(Settings):
    """Which sessions are checked, by which checks, and where the table is written."""

    manifest_bucket: Annotated[str, Place()] = "game-data-manifest"
    """Place of the `.pt` files: `s3://bucket/prefix`, or a folder."""
    prefix: Annotated[str, AfterValidator(check_prefix)] = ""
    """Check only the `.pt` files whose keys begin with this."""
    output_path: Annotated[str | None, Place()] = None
    """Where a copy of the table is written: `s3://…/name.parquet`, or a file."""
    checks: str = V2
    """`v1`, `v2`, or names of checks, separated by commas."""
    menu_flag_threshold: Annotated[float, Field(ge=0, le=1)] = MENU_FLAG_THRESHOLD
    """A session is mostly menu if its share of menus is above this."""
    ocr: bool = False
    """Whether to read text on the screen as well; needs the packages of filmgate[episode]."""
    cache_dir: Annotated[str | None, Place()] = None
    """Folder in which `.pt` files from a bucket are cached."""
    cache_gb: Annotated[float, Field(gt=0, le=100_000)] = 20.0
    """Maximum size of the cache, in GB."""
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    """Maximum time for one item, in seconds."""
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096
    """Maximum memory for one item, in MiB, in addition to that of the idle process."""

    @field_validator("checks")
    @classmethod
    def _validate_checks(cls, names: str) -> str:
        try:
            select_checks(names)
        except Invalid as error:
            raise ValueError(str(error)) from error
        return names
