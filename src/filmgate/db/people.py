"""Store of known people and of the clusters that were named after them."""

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import psycopg

from filmgate.core.answers import NamedCluster, PeopleAnswer, PersonAnswer
from filmgate.core.database import Row
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.people import KnownPeople, Person, Reference
from filmgate.core.plan import Producer
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession

MAX_SLUG_LENGTH = 100


class NamedVector(NamedTuple):
    """A cluster that was named after a person, with the digest of the vector it had."""

    person_id: str
    asset_id: str
    run_id: str
    cluster_id: str
    vector_sha256: str


class PeopleStore:
    """Stores people over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)

    def all(self) -> PeopleAnswer:
        """List all people with their clusters."""
        return PeopleAnswer(
            people=tuple(
                PersonAnswer(
                    person_id=row["person_id"],
                    name=row["name"],
                    clusters=tuple(
                        NamedCluster(
                            asset_id=reference["asset_id"],
                            run_id=reference["run_id"],
                            cluster_id=reference["cluster_id"],
                            model=reference["model"],
                        )
                        for reference in row["references"]
                    ),
                )
                for row in self._session.all(queries("people")["all"], {})
            )
        )

    def known(self) -> KnownPeople:
        """Return all people with their vectors, as a run reads them."""
        return KnownPeople(
            people=tuple(
                Person(
                    person_id=row["person_id"],
                    name=row["name"],
                    references=tuple(
                        Reference(
                            model=reference["model"],
                            weights_sha256=reference["weights_sha256"],
                            vector=tuple(reference["vector"]),
                        )
                        for reference in row["references"]
                    ),
                )
                for row in self._session.all(queries("people")["all"], {})
            )
        )

    def name(
        self,
        asset_id: str,
        run_id: str,
        cluster_id: str,
        name: str,
        by: Producer,
        vector: Sequence[float],
        vector_sha256: str,
    ) -> PersonAnswer:
        """Assign a cluster to the person with this name or id, or to a new person.

        A cluster that had another name is moved to this person. `by` is the model that made the
        vector.
        """
        sql = queries("people")
        with self._connection.transaction():
            self._session.execute(sql["lock"], {})
            person = self._session.one(sql["by_name"], {"name": name})
            if person is None:
                row = {"person_id": self._free_id(name), "name": name}
                person = self._session.one_required(sql["add"], row)
            self._session.execute(
                sql["name_cluster"],
                {
                    "person_key": person["person_key"],
                    "asset_id": asset_id,
                    "run_id": run_id,
                    "cluster_id": cluster_id,
                    "model": by.name,
                    "weights_sha256": by.weights_sha256,
                    "vector": list(vector),
                    "vector_sha256": vector_sha256,
                },
            )
        return self._answer(person["person_id"])

    def unname(self, asset_id: str, run_id: str, cluster_id: str) -> None:
        """Remove the name of a cluster; NotFound if it has none."""
        keys = {"asset_id": asset_id, "run_id": run_id, "cluster_id": cluster_id}
        if not self._session.execute(queries("people")["unname_cluster"], keys):
            raise NotFound(
                f"{cluster_id} of {asset_id} has no name in run {run_id}",
                hint="List the named clusters with `filmgate people list`",
            )

    def rename(self, person: str, name: str) -> PersonAnswer:
        """Rename the person with this name or id; Conflict if the new name is taken."""
        sql = queries("people")
        with self._connection.transaction():
            self._session.execute(sql["lock"], {})
            known = self._person(person)
            other = self._session.one(sql["by_name"], {"name": name})
            if other is not None and other["person_key"] != known["person_key"]:
                raise Conflict(
                    f"another person named {name!r} already exists",
                    expected="a name that is free",
                    got=other["person_id"],
                    hint="To merge two people, give the clusters of one person the name of the "
                    "other, then remove the first person",
                )
            self._session.execute(sql["rename"], known | {"new_name": name})
        return self._answer(known["person_id"])

    def remove(self, person: str) -> PersonAnswer:
        """Delete the person with this name or id and all references; return that person."""
        known = self._person(person)
        answer = self._answer(known["person_id"])
        self._session.execute(queries("people")["remove"], known)
        return answer

    def remove_id(self, person_id: str) -> None:
        """Delete the person with this id and all references. Another person may have the id as a
        name."""
        self._session.execute(queries("people")["remove_id"], {"person_id": person_id})

    def find(self, person: str) -> PersonAnswer:
        """Return the person with this name or id; raises NotFound."""
        return self._answer(self._person(person)["person_id"])

    def named_clusters(self) -> list[NamedVector]:
        """List all clusters that were named after people."""
        rows = self._session.all(queries("people")["named_clusters"], {})
        return [NamedVector(**row) for row in rows]

    def _person(self, person: str) -> Row:
        known = self._session.one(queries("people")["by_name"], {"name": person})
        if known is None:
            raise NotFound(
                f"person {person!r} does not exist",
                hint="List all people with `filmgate people list`",
            )
        return known

    def _answer(self, person_id: str) -> PersonAnswer:
        return next(person for person in self.all().people if person.person_id == person_id)

    def _free_id(self, name: str) -> str:
        """Return an unused id for a name, such as `lisa-vanderpump`; add a number if necessary."""
        slug = slug_of(name)
        rows = self._session.all(queries("people")["ids_like"], {"slug": slug})
        taken = {row["person_id"] for row in rows}
        numbered = (f"{slug}-{number}" for number in range(2, len(taken) + 3))
        return next(candidate for candidate in (slug, *numbered) if candidate not in taken)


def slug_of(name: str) -> str:
    """Return a name as lower-case ASCII letters and digits with hyphens between.

    Return `person` if no character is left. Add the prefix `person-` if the result looks like a
    cluster id (`c1`).
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_SLUG_LENGTH].strip("-")
    return f"person-{slug}" if re.fullmatch(r"c\d+", slug) else slug or "person"
