"""Parameters that several queries share."""

from typing import Annotated

from pydantic import Field

from filmgate.core.command import CommandLine, Completion, Parameters
from filmgate.core.ids import ID_PATTERN, AssetId, parse_asset_id
from filmgate.core.moments import MAX_MS
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection

MAX_QUERY_TEXT = 2000
"""Length limit of a search text, in characters; it must fit in a request target."""

Word = Annotated[str, Field(min_length=1, max_length=512)]
Words = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_TEXT)]
SearchWords = Annotated[
    Words,
    Field(
        description='Search words. Syntax: "a phrase"; one or other; -excluded.',
        examples=["compiler or rocket"],
    ),
    CommandLine(
        is_words=True,
        metavar="WORDS",
        help='Words. Syntax: "a phrase"; one or other; -excluded.',
    ),
]
Moment = Annotated[int, Field(ge=0, le=MAX_MS, examples=[9000])]
Start = Annotated[
    Annotated[int, Field(ge=-1, le=MAX_MS)] | None,
    Field(description="Time in milliseconds; -1 is before everything.", examples=[9000]),
]
Limit = Annotated[
    int,
    Field(ge=1, le=1000, description="Maximum number of results on a page.", examples=[20]),
    CommandLine(metavar="N", help="Maximum number of results."),
]
Cursor = Annotated[
    Annotated[str, Field(min_length=1, max_length=2000)] | None,
    Field(description="`next_cursor` of the previous page."),
    CommandLine(metavar="CURSOR", help="Cursor of a page: the `next_cursor` of the page before."),
]


class AssetParameters(Parameters):
    """Parameters of a query about one video."""

    asset_id: Annotated[
        str,
        Field(pattern=ID_PATTERN, description="Id of the video.", examples=["gatecheck-s01e01"]),
        CommandLine(
            is_argument=True,
            metavar="ASSET",
            help="Asset id, such as film.",
            completion=Completion.ASSETS,
        ),
    ]

    @property
    def asset(self) -> AssetId:
        """The id of the video."""
        return parse_asset_id(self.asset_id)


class SelectionParameters(AssetParameters):
    """Parameters of a query about the served artifacts of one video."""

    selection: Annotated[
        SelectionMode | None,
        Field(description="How the run is selected; default: the stored selection."),
        CommandLine(help="Selection policy. Default: the one stored by `filmgate select`."),
    ] = None
    profile: Annotated[
        Word | None,
        Field(description="Select the latest run under this model profile.", examples=["balanced"]),
        CommandLine(metavar="NAME", help="Use the latest run with this model profile."),
    ] = None
    run_id: Annotated[
        Annotated[str, Field(pattern=ID_PATTERN)] | None,
        Field(description="Select this run."),
        CommandLine(
            names=("--run",),
            metavar="RUN",
            help="Use this run only.",
            completion=Completion.RUNS,
        ),
    ] = None

    @property
    def run_selection(self) -> Selection:
        """The selection that results from the parameters. Raises UsageError if they conflict."""
        return Selection.of(self.selection, profile=self.profile, run_id=self.run_id)
