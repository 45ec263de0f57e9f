"""Screen time per person: the file of an episode run that other products ingest."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from filmgate.core.envelope import Sha256
from filmgate.core.moments import MAX_MS
from filmgate.core.payloads.payload import Label
from filmgate.core.people import Likeness

Ms = Annotated[int, Field(ge=0, le=MAX_MS)]
Count = Annotated[int, Field(ge=0, le=MAX_MS)]
Share = Annotated[float, Field(ge=0, le=1)]

SCREENTIME = "episode.screentime"
"""The schema of `screentime.json`."""


class _ScreenTimeValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class PersonTime(_ScreenTimeValue):
    """One person's time on screen.

    `onscreen_ms` equals `face_visible_ms` + `body_only_ms` + `gap_bridged_ms`.
    """

    identity_id: Label
    vector_sha256: Sha256
    """Digest of the embedding of the identity's cluster; a person's name is assigned to it."""
    person_id: Label | None
    """Id of the known person whose embedding is near, if no other person's is nearly as near."""
    name: Label | None
    unsure: tuple[Likeness, ...]
    """Known people who resemble the identity, if it was not recognised; nearest first."""
    onscreen_ms: Ms
    face_visible_ms: Ms
    body_only_ms: Ms
    """Time in which only the person's body or followed head is visible, without the face."""
    gap_bridged_ms: Ms
    """Time in gaps that are short enough to bridge."""
    speaking_ms: Ms | None
    """Time in which the person speaks; None if speakers are unknown."""
    confessional_ms: Ms | None
    """Time in which the person is alone, frontal, large and centred for a while, as in a
    confessional interview; None if faces have no landmarks."""
    first_ms: Ms
    last_ms: Ms
    appearances: Count
    """Number of separate stretches on screen."""
    share: Share
    """Share of the video's duration."""
    is_singleton: bool

    @model_validator(mode="after")
    def _check_times(self) -> "PersonTime":
        parts = self.face_visible_ms + self.body_only_ms + self.gap_bridged_ms
        if self.onscreen_ms != parts:
            raise ValueError(f"onscreen_ms {self.onscreen_ms} is not the sum of its parts, {parts}")
        if self.first_ms > self.last_ms:
            raise ValueError(f"first_ms {self.first_ms} is after last_ms {self.last_ms}")
        return self


class ScreenTime(_ScreenTimeValue):
    """`screentime.json`: the screen time of all people in a video."""

    people: tuple[PersonTime, ...]
    """All people, longest screen time first."""
    duration_ms: Ms
    speaking_by: Literal["speaker names", "sole face"] | None
    """How speech was assigned to people; None if it was not."""
    unidentified_face_ms: Ms
    """Time with a visible face that belongs to no identity."""
    thresholds_hash: str
    """`sha256:{hex}` of the settings that these numbers depend on."""

    @model_validator(mode="after")
    def _check_people(self) -> "ScreenTime":
        names = [person.identity_id for person in self.people]
        if len(set(names)) < len(names):
            raise ValueError("identity_id occurs twice")
        longest = max((person.onscreen_ms for person in self.people), default=0)
        if longest > self.duration_ms:
            raise ValueError(f"onscreen_ms {longest} exceeds duration_ms {self.duration_ms}")
        return self
