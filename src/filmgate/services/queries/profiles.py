"""Query: the model profiles of a video's runs."""

from typing import Annotated

from pydantic import Field

from filmgate.core.answers import ProfilesAnswer
from filmgate.core.command import CommandLine, Printer
from filmgate.core.query import Query, QueryContext
from filmgate.db.selections import Selections
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import AssetParameters, Word


class ProfilesParameters(AssetParameters):
    """Parameters of a list of profiles."""

    artifact_type: Annotated[
        Word | None,
        Field(description="Exact artifact type; default: any."),
        CommandLine(
            is_argument=True, metavar="TYPE", help="Artifact type, such as scene. Default: all."
        ),
    ] = None


def profiles(context: QueryContext, parameters: ProfilesParameters) -> ProfilesAnswer:
    """List the model profiles of a video's runs, by artifact type."""
    with context.read() as session:
        selections = Selections(connection_of(session))
        return selections.profiles(parameters.asset, parameters.artifact_type)


def show(answer: ProfilesAnswer, _parameters: ProfilesParameters, printer: Printer) -> None:
    """Print one row per artifact type and profile."""
    if not answer.profiles:
        printer.note("No run of this video is completed.")
        return
    rows = [
        [
            each.artifact_type,
            each.model_profile,
            str(each.runs),
            f"{each.artifacts:,}",
            "yes" if each.is_served else "",
            each.latest_run_id,
        ]
        for each in answer.profiles
    ]
    heads = ("type", "profile", "runs", "artifacts", "served", "latest run")
    printer.table(heads, rows, right=("runs", "artifacts"))


PROFILES = Query(
    name="profiles",
    path="/v1/videos/{asset_id}/profiles",
    tag="videos",
    parameters=ProfilesParameters,
    answer=ProfilesAnswer,
    run=profiles,
    show=show,
)
