"""All built-in queries and actions, as the help of `filmgate` presents them."""

from filmgate.pipelines import built_in
from filmgate.pipelines.built_in import QueryEntry

PLATFORM = {
    "find": QueryEntry(
        "filmgate.services.queries.find:FIND",
        "Find words in a video",
        ("filmgate find film the words", "filmgate find film --source ocr title"),
    ),
    "search": QueryEntry(
        "filmgate.services.queries.search:SEARCH",
        "Find words in all videos",
        ("filmgate search the words",),
    ),
    "jump": QueryEntry(
        "filmgate.services.queries.jump:JUMP",
        "Jump to the next or previous artifact of a kind",
        ("filmgate jump film --kind scene --from-ms 9000",),
    ),
    "screentime": QueryEntry(
        "filmgate.services.queries.screentime:SCREENTIME",
        "Show screen time per person",
        ("filmgate screentime film",),
    ),
    "artifacts": QueryEntry(
        "filmgate.services.queries.artifacts:ARTIFACTS",
        "List artifacts of a video by time",
        ("filmgate artifacts film --type scene --from-ms 0 --to-ms 60000",),
    ),
    "provenance": QueryEntry(
        "filmgate.services.queries.provenance:PROVENANCE",
        "Show where an artifact comes from",
        ("filmgate provenance film:Attempt1_2026-11-21_002541_EST:scene:3",),
    ),
    "profiles": QueryEntry(
        "filmgate.services.queries.profiles:PROFILES",
        "List the model profiles that a video was run with",
        ("filmgate profiles film",),
    ),
    "selections": QueryEntry("filmgate.services.queries.selections:SELECTIONS", "", ()),
    "people": QueryEntry("filmgate.services.queries.people:PEOPLE", "", ()),
}
"""The queries of the platform. One without a summary gets no command."""

PIPELINE_QUERIES = built_in.QUERIES

BUILT_IN = {**PLATFORM, **PIPELINE_QUERIES}
"""The queries of the platform and of the built-in pipelines."""

ACTIONS = built_in.ACTIONS
"""The actions of the built-in pipelines, by the words of their commands."""

DEMO = built_in.DEMO
"""The pipeline of `filmgate demo` if none is named."""
