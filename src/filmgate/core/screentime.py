"""Screen time: how long everybody is on screen; what a product takes in of an episode's run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from filmgate.core.envelope import Sha256
from filmgate.core.moments import MAX_MS
from filmgate.core.payloads.payload import Label

Ms = Annotated[int, Field(ge=0, le=MAX_MS)]
Count = Annotated[int, Field(ge=0, le=MAX_MS)]
Share = Annotated[float, Field(ge=0, le=1)]

SCREENTIME = "episode.screentime"
"""The schema of `screentime.json`."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Likeness(_Value):
    """A known person that an identity may be."""

    person_id: Label
    name: Label
    distance: Annotated[float, Field(ge=0)]


class PersonTime(_Value):
    """One person's time on screen. On-screen time is the sum of its three parts, exactly."""

    identity_id: Label
    vector_sha256: Sha256
    """Of the vector that it was grouped by: a name given to it is given to that face."""
    person_id: Label | None
    """The known person, where one is near and no other nearly as near."""
    name: Label | None
    unsure: tuple[Likeness, ...]
    """Known people that it may be, where that is not sure; the nearest first."""
    onscreen_ms: Ms
    face_visible_ms: Ms
    body_only_ms: Ms
    """A fused body, or a head that was followed, without its face being seen."""
    gap_bridged_ms: Ms
    speaking_ms: Ms | None
    """None where nothing tells who speaks."""
    confessional_ms: Ms | None
    """Alone, frontal, large and centred, for a while; None where faces have no landmarks."""
    first_ms: Ms
    last_ms: Ms
    appearances: Count
    """Stretches on screen."""
    share: Share
    """Of the picture's duration."""
    is_singleton: bool

    @model_validator(mode="after")
    def _adds_up(self) -> "PersonTime":
        parts = self.face_visible_ms + self.body_only_ms + self.gap_bridged_ms
        if self.onscreen_ms != parts:
            raise ValueError(f"onscreen_ms {self.onscreen_ms} is not the sum of its parts, {parts}")
        if self.first_ms > self.last_ms:
            raise ValueError(f"first_ms {self.first_ms} is after last_ms {self.last_ms}")
        return self


class ScreenTime(_Value):
    """`screentime.json`: how long everybody is on screen."""

    people: tuple[PersonTime, ...]
    """The longest on screen first."""
    duration_ms: Ms
    speaking_by: Literal["speaker names", "sole face"] | None
    """How speech was given to people; None where it was not."""
    unidentified_face_ms: Ms
    """While a face is seen that was grouped with nobody."""
    thresholds_hash: str
    """`sha256:…` over the settings that these numbers depend on."""

    @model_validator(mode="after")
    def _fits(self) -> "ScreenTime":
        names = [person.identity_id for person in self.people]
        if len(set(names)) < len(names):
            raise ValueError("an identity stands twice")
        longest = max((person.onscreen_ms for person in self.people), default=0)
        if longest > self.duration_ms:
            raise ValueError(f"onscreen_ms {longest} is more than the film's {self.duration_ms}")
        return self
