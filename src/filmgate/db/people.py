"""Known people in the database: who they are, and which clusters were named after them."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import psycopg

from filmgate.core.answers import NamedCluster, PeopleAnswer, PersonAnswer
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.people import KnownPeople, Person, Reference
from filmgate.core.plan import Producer
from filmgate.db.queries import queries
from filmgate.db.sessions import Session

LONGEST_SLUG = 100


class People:
    """Over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = Session(connection)

    def all(self) -> PeopleAnswer:
        """Everybody, and by which clusters they are known."""
        return PeopleAnswer(
            people=tuple(
                PersonAnswer(
                    person_id=row["person_id"],
                    name=row["name"],
                    clusters=tuple(
                        NamedCluster(
                            asset_id=each["asset_id"],
                            run_id=each["run_id"],
                            cluster_id=each["cluster_id"],
                            model=each["model"],
                        )
                        for each in row["references"]
                    ),
                )
                for row in self._session.all(queries("people")["all"], {})
            )
        )

    def known(self) -> KnownPeople:
        """Everybody with their vectors: what a run consults."""
        return KnownPeople(
            people=tuple(
                Person(
                    person_id=row["person_id"],
                    name=row["name"],
                    references=tuple(
                        Reference(
                            model=each["model"],
                            weights_sha256=each["weights_sha256"],
                            vector=tuple(each["vector"]),
                        )
                        for each in row["references"]
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
        """Say who a cluster is: a known person of that name or id, else somebody new.

        Named before, it becomes the other's.
        """
        sql = queries("people")
        with self._connection.transaction():
            self._session.do(sql["lock"], {})
            person = self._session.one(sql["by_name"], {"name": name})
            if person is None:
                row = {"person_id": self._free_id(name), "name": name}
                person = self._session.need(sql["add"], row)
            self._session.do(
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
        """Take a name back from a cluster; NotFound where it has none."""
        where = {"asset_id": asset_id, "run_id": run_id, "cluster_id": cluster_id}
        if not self._session.do(queries("people")["unname_cluster"], where):
            raise NotFound(
                f"{cluster_id} of {asset_id} has no name in run {run_id}",
                hint="`filmgate people list` shows who was named",
            )

    def rename(self, person: str, name: str) -> PersonAnswer:
        """Give a person, meant by name or id, another name; Conflict where that is taken."""
        sql = queries("people")
        with self._connection.transaction():
            self._session.do(sql["lock"], {})
            known = self._person(person)
            other = self._session.one(sql["by_name"], {"name": name})
            if other is not None and other["person_key"] != known["person_key"]:
                raise Conflict(
                    f"somebody else is called {name!r} already",
                    expected="a name that is free",
                    got=other["person_id"],
                    hint="Name the clusters of the one after the other, then remove the one",
                )
            self._session.do(sql["rename"], known | {"new_name": name})
        return self._answer(known["person_id"])

    def remove(self, person: str) -> PersonAnswer:
        """Forget a person, meant by name or id, with all faces; who it was."""
        known = self._person(person)
        answer = self._answer(known["person_id"])
        self._session.do(queries("people")["remove"], known)
        return answer

    def _person(self, person: str) -> dict[str, Any]:
        known = self._session.one(queries("people")["by_name"], {"name": person})
        if known is None:
            raise NotFound(
                f"nobody is called {person!r}", hint="`filmgate people list` shows everybody"
            )
        return known

    def _answer(self, person_id: str) -> PersonAnswer:
        return next(each for each in self.all().people if each.person_id == person_id)

    def _free_id(self, name: str) -> str:
        """`lisa-vanderpump` of a name; with a number where that is taken."""
        slug = slug_of(name)
        rows = self._session.all(queries("people")["ids_like"], {"slug": slug})
        taken = {row["person_id"] for row in rows}
        numbered = (f"{slug}-{number}" for number in range(2, len(taken) + 3))
        return next(each for each in (slug, *numbered) if each not in taken)


def slug_of(name: str) -> str:
    """Lower-case ASCII letters and digits with hyphens between; `person` where none is left, and
    before what looks like a cluster."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].strip("-")
    return f"person-{slug}" if re.fullmatch(r"c\d+", slug) else slug or "person"
