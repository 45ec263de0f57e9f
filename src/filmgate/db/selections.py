"""Selections: which run is served, by default or by a stored selection, and the alternatives."""

from collections.abc import Mapping

import psycopg

from filmgate.core.answers import (
    DataSource,
    ProfileEntry,
    ProfilesAnswer,
    ServedType,
    SnapshotAnswer,
)
from filmgate.core.database import Row
from filmgate.core.digest import JsonDict
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection
from filmgate.db.artifact_queries import ArtifactQueries
from filmgate.db.queries import queries
from filmgate.db.sessions import DatabaseSession


class Selections:
    """Stores and reads selections over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = DatabaseSession(connection)
        self._artifact_queries = ArtifactQueries(connection)

    def snapshot(self, asset_id: AssetId) -> SnapshotAnswer:
        """Return the runs that serve an asset's types; raises NotFound if the asset is unknown."""
        sql = queries("selections")
        asset = self._artifact_queries.check_asset(asset_id)
        selections = {
            row["artifact_type"]: _selection(row)
            for row in self._session.all(sql["selected"], {"asset_id": asset_id})
        }
        served = {
            row.pop("artifact_type"): row
            for row in self._session.all(sql["served"], {"asset_id": asset_id})
        }
        sources = [DataSource.ARTIFACT] if served else []
        sources += [DataSource.LEGACY] if asset is DataSource.LEGACY else []
        return SnapshotAnswer(
            asset_id=asset_id,
            runs={name: row["run_id"] for name, row in served.items()},
            data_source=DataSource.ARTIFACT if served or not sources else sources[0],
            served={
                name: ServedType(**row, selection=selections.get(name, Selection()))
                for name, row in served.items()
            },
            unserved={
                name: selection for name, selection in selections.items() if name not in served
            },
            data_sources=tuple(sources),
        )

    def select(
        self,
        asset_id: AssetId,
        artifact_type: str,
        selection: Selection,
        *,
        installation: str | None = None,
    ) -> None:
        """Store a selection; the mode `default` deletes it.

        `installation` chooses the run to pin if two installations have a run of the same id.
        Raises NotFound if the asset has no such type, or no completed run matches the selection:
        such a selection would serve nothing, which would be noticed only later.
        """
        sql = queries("selections")
        with self._connection.transaction():
            asset = self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})
            if asset is None:
                self._artifact_queries.check_asset(asset_id)
                raise NotFound(f"{asset_id} has no runs", hint="Ingest a run before you select one")
            if selection.mode is SelectionMode.DEFAULT:
                keys = asset | {"artifact_type": artifact_type}
                self._session.execute(sql["reset"], keys)
            else:
                keys = asset | self._type_key(asset, asset_id, artifact_type)
                row = self._checked_row(keys, asset_id, artifact_type, selection, installation)
                self._session.execute(sql["store"], keys | row)
            self._session.execute(queries("ingest")["refresh_served"], keys)

    def pin(
        self,
        asset_id: AssetId,
        runs: Mapping[str, str] | None = None,
        cited: Mapping[str, JsonDict] | None = None,
    ) -> None:
        """Pin each type to a run, all of them or none; without `runs`, to what is served now.

        A type of which one artifact is pinned in that run stays so. `cited` has what an earlier
        snapshot contained of each type: `producer`, `ordinal`, `manifest_sha256`. Raises NotFound
        if no run serves the asset, and Conflict if a run was ingested with another manifest since
        the snapshot, so that its results may differ.
        """
        with self._connection.transaction():
            self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})
            snapshot = self.snapshot(asset_id)
            due = snapshot.runs if runs is None else runs
            if not due:
                raise NotFound(
                    f"{asset_id} is not served from any run",
                    expected="a completed run with artifacts",
                    got="none",
                )
            cited = cited or {}
            for artifact_type, run_id in sorted(due.items()):
                served = snapshot.served.get(artifact_type)
                ordinal = served.ordinal if served and served.run_id == run_id else None
                facts = cited.get(artifact_type, {"ordinal": ordinal})
                selection = Selection.of(run_id=run_id, ordinal=facts.get("ordinal"))
                installation = facts.get("producer")
                self.select(asset_id, artifact_type, selection, installation=installation)
            _check_manifests(self.snapshot(asset_id), cited)

    def profiles(self, asset_id: AssetId, artifact_type: str | None = None) -> ProfilesAnswer:
        """List the profiles of completed runs by type, the best profile first."""
        self._artifact_queries.check_asset(asset_id)
        parameters = {"asset_id": asset_id, "artifact_type": artifact_type}
        rows = self._session.all(queries("selections")["profiles"], parameters)
        entries = tuple(ProfileEntry(**row) for row in rows)
        return ProfilesAnswer(asset_id=asset_id, profiles=entries)

    def _type_key(self, asset: Row, asset_id: str, artifact_type: str) -> Row:
        parameters = asset | {"artifact_type": artifact_type}
        found = self._session.one(queries("selections")["type_of_asset"], parameters)
        if found is None:
            profiles = self.profiles(AssetId(asset_id)).profiles
            names = sorted({entry.artifact_type for entry in profiles})
            raise NotFound(
                f"{asset_id} has no {artifact_type} artifacts",
                expected=f"one of {', '.join(names)}" if names else "a run with artifacts",
                got=repr(artifact_type),
            )
        return found

    def _checked_row(
        self,
        keys: Row,
        asset_id: str,
        artifact_type: str,
        selection: Selection,
        installation: str | None,
    ) -> Row:
        """Build the row of a selection; NotFound if no completed run matches it."""
        row = {
            "mode": selection.mode.value,
            "profile": selection.profile,
            "run_key": None,
            "ordinal": selection.ordinal,
        }
        if selection.mode is SelectionMode.PINNED:
            parameters = keys | {
                "run_id": selection.run_id,
                "ordinal": selection.ordinal,
                "installation": installation,
            }
            found = self._session.one(queries("selections")["run_with_type"], parameters)
            if found is None:
                ordinal = "" if selection.ordinal is None else f", ordinal {selection.ordinal}"
                raise NotFound(
                    f"{asset_id} has no completed run {selection.run_id!r} with "
                    f"{artifact_type}{ordinal}",
                    hint=f"List the completed runs with `filmgate profiles {asset_id}`",
                )
            row |= found
        if selection.mode in {SelectionMode.LATEST, SelectionMode.BEST_QUALITY}:
            found = self._session.one_required(queries("selections")["any_run"], keys)
            if found["run_key"] is None:
                raise NotFound(
                    f"{asset_id} has no completed run with {artifact_type}",
                    hint=f"List the completed runs with `filmgate profiles {asset_id}`",
                )
        if selection.mode is SelectionMode.PROFILE:
            profiles = self.profiles(AssetId(asset_id), artifact_type).profiles
            names = [entry.model_profile for entry in profiles]
            if selection.profile not in names:
                raise NotFound(
                    f"{asset_id} has no {artifact_type} under profile {selection.profile!r}",
                    expected=f"one of {', '.join(names)}",
                    got=repr(selection.profile),
                )
        return row


def _check_manifests(snapshot: SnapshotAnswer, cited: Mapping[str, JsonDict]) -> None:
    for artifact_type, facts in cited.items():
        served, due = snapshot.served.get(artifact_type), facts.get("manifest_sha256")
        if served is not None and due is not None and served.manifest_sha256 != due:
            raise Conflict(
                f"run {served.run_id} does not match its manifest in the snapshot",
                expected=f"manifest {due}",
                got=f"manifest {served.manifest_sha256}",
                hint="It was ingested again with changes; pin it by its run id to accept them",
            )


def _selection(row: Row) -> Selection:
    return Selection(
        mode=SelectionMode(row["mode"]),
        profile=row["profile"],
        run_id=row["run_id"],
        ordinal=row["ordinal"],
    )
