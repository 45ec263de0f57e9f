"""Query: the known people."""

from filmgate.core.answers import PeopleAnswer
from filmgate.core.command import Parameters
from filmgate.core.query import Query, QueryContext
from filmgate.db.people import PeopleStore
from filmgate.db.sessions import connection_of


def people(context: QueryContext, _parameters: Parameters) -> PeopleAnswer:
    """List known people with their clusters."""
    with context.read() as session:
        return PeopleStore(connection_of(session)).all()


PEOPLE = Query(
    name="people",
    path="/v1/people",
    tag="artifacts",
    parameters=Parameters,
    answer=PeopleAnswer,
    run=people,
    show=None,
)
