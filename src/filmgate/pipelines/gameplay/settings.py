"""What can be set of the two stages."""

from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from filmgate.core.errors import Invalid
from filmgate.core.gameplay import MENU_FLAG_THRESHOLD, Sampling
from filmgate.core.plan import Settings
from filmgate.pipelines.gameplay.checking import V2, chosen

EXTRACTED_VERSION = 1
"""Of what is extracted; raised whenever the same archive comes out differently."""


class ExtractionSettings(Settings):
    """Where archives and extractions lie, and what is kept of a video."""

    source_bucket: str = "game-data"
    """Of the archives: `s3://bucket/prefix`, or a folder."""
    manifest_bucket: str = "game-data-manifest"
    """Of the `.pt` files, likewise."""
    skip_existing: bool = True
    """Leave what was extracted with the same settings, and is whole, as it is."""
    compress: bool = False
    strict: bool = False
    """Take whole sessions only: one video, metadata and inputs, at a constant rate, unturned."""
    strides: dict[Annotated[int, Field(ge=1, le=10_000)], Annotated[int, Field(ge=1, le=1000)]] = (
        Field(default_factory=lambda: {3: 15, 30: 15, 60: 5})
    )
    """Every how many frames, and how many of them."""
    uniform: Annotated[int, Field(ge=0, le=1000)] = 60
    """Frames spread over the whole video."""
    shorter_side: Annotated[int, Field(ge=16, le=2160)] = 256
    max_archive_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 4096
    """Of real sessions the largest had 2.8 GB."""
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 1800
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096
    """Of one item; beyond what a process has before it begins."""

    @model_validator(mode="after")
    def _samples_something(self) -> Self:
        if not self.strides and not self.uniform:
            raise ValueError("expected strides or uniform frames, got neither")
        return self

    @property
    def sampling(self) -> Sampling:
        """Which frames are kept."""
        return Sampling(strides=self.strides, uniform=self.uniform, shorter_side=self.shorter_side)

    @property
    def facts(self) -> dict[str, Any]:
        """What decides what an extraction holds."""
        return {"version": EXTRACTED_VERSION, **self.sampling.model_dump(mode="json")}


class ManifestSettings(Settings):
    """What is judged, by which checks, and where the table goes."""

    manifest_bucket: str = "game-data-manifest"
    """Of the `.pt` files: `s3://bucket/prefix`, or a folder."""
    prefix: str = ""
    """Only those whose keys begin so."""
    output_path: str | None = None
    """Where the table is put besides the run's folder: `s3://…/name.parquet`, or a file."""
    checks: str = V2
    """`v1`, `v2`, or names of v2 by comma."""
    menu_flag_threshold: Annotated[float, Field(ge=0, le=1)] = MENU_FLAG_THRESHOLD
    ocr: bool = False
    """Read text on the screen too; needs the packages of filmgate[episode]."""
    cache_dir: str | None = None
    """Where `.pt` files that lie elsewhere are kept for the next time."""
    cache_gb: Annotated[float, Field(gt=0, le=100_000)] = 20.0
    time_limit_s: Annotated[int, Field(ge=1, le=86_400)] = 600
    memory_limit_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 4096

    @field_validator("checks")
    @classmethod
    def _are_there(cls, names: str) -> str:
        try:
            chosen(names)
        except Invalid as error:
            raise ValueError(str(error)) from error
        return names
