"""Query: the run that serves each artifact type of a video."""

from filmgate.core.answers import SnapshotAnswer
from filmgate.core.query import Query, QueryContext
from filmgate.db.selections import Selections
from filmgate.db.sessions import connection_of
from filmgate.services.queries.parameters import AssetParameters


def selections(context: QueryContext, parameters: AssetParameters) -> SnapshotAnswer:
    """Return the run from which each artifact type of a video is served."""
    with context.read() as session:
        return Selections(connection_of(session)).snapshot(parameters.asset)


SELECTIONS = Query(
    name="selections",
    path="/v1/videos/{asset_id}/selections",
    tag="videos",
    parameters=AssetParameters,
    answer=SnapshotAnswer,
    run=selections,
    show=None,
)
