"""Selections: what is served, by whose choice, and what else there would be."""

from collections.abc import Mapping
from typing import Any

import psycopg

from filmgate.core.answers import (
    DataSource,
    ProfileEntry,
    ProfilesAnswer,
    ServedType,
    SnapshotAnswer,
)
from filmgate.core.errors import Conflict, NotFound
from filmgate.core.ids import AssetId
from filmgate.core.questions import SelectionMode
from filmgate.core.selection import Selection
from filmgate.db.queries import queries
from filmgate.db.serving import Serving
from filmgate.db.sessions import Session


class Selections:
    """Stored choices over one connection."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._session = Session(connection)
        self._serving = Serving(connection)

    def snapshot(self, asset_id: AssetId) -> SnapshotAnswer:
        """What an asset is served from; NotFound where it is not known."""
        sql = queries("selections")
        asset = self._serving.check_asset(asset_id)
        chosen = {
            row["artifact_type"]: _selection(row)
            for row in self._session.all(sql["chosen"], {"asset_id": asset_id})
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
                name: ServedType(**row, selection=chosen.get(name, Selection()))
                for name, row in served.items()
            },
            unserved={name: each for name, each in chosen.items() if name not in served},
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
        """Store a choice; `default` forgets it. `installation` says whose run is pinned, where
        two have one of that id.

        Raises NotFound where the asset has no such type, or no completed run is what is
        chosen: a choice that serves nothing would only be found out later.
        """
        sql = queries("selections")
        with self._connection.transaction():
            asset = self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})
            if asset is None:
                self._serving.check_asset(asset_id)
                raise NotFound(f"{asset_id} has no runs", hint="There is nothing to choose from")
            if selection.mode is SelectionMode.DEFAULT:
                keys = asset | {"artifact_type": artifact_type}
                self._session.do(sql["forget"], keys)
            else:
                keys = asset | self._type(asset, asset_id, artifact_type)
                row = self._choice(keys, asset_id, artifact_type, selection, installation)
                self._session.do(sql["choose"], keys | row)
            self._session.do(queries("ingest")["refresh_served"], keys)

    def pin(
        self,
        asset_id: AssetId,
        runs: Mapping[str, str] | None = None,
        cited: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Pin each type to a run, all of them or none; without `runs`, to what is served now.

        A type whose one artifact is pinned in that run stays so. `cited` is what an earlier
        snapshot told of each type: whose run, which artifact alone, under which manifest. Raises
        NotFound where there is nothing to pin, and Conflict where a run has come in with another
        manifest since: it no longer answers as it did.
        """
        with self._connection.transaction():
            self._session.one(queries("ingest")["lock_asset"], {"asset_id": asset_id})
            snapshot = self.snapshot(asset_id)
            due = snapshot.runs if runs is None else runs
            if not due:
                raise NotFound(
                    f"nothing of {asset_id} is served from a run",
                    expected="a completed run with artifacts",
                    got="none",
                )
            told = cited or {}
            for artifact_type, run_id in sorted(due.items()):
                served = snapshot.served.get(artifact_type)
                ordinal = served.ordinal if served and served.run_id == run_id else None
                facts = told.get(artifact_type, {"ordinal": ordinal})
                chosen = Selection.of(run_id=run_id, ordinal=facts.get("ordinal"))
                whose = facts.get("producer")
                self.select(asset_id, artifact_type, chosen, installation=whose)
            _check_manifests(self.snapshot(asset_id), told)

    def profiles(self, asset_id: AssetId, artifact_type: str | None = None) -> ProfilesAnswer:
        """Under which profiles there are completed runs, type by type, best profile first."""
        self._serving.check_asset(asset_id)
        asked = {"asset_id": asset_id, "artifact_type": artifact_type}
        rows = self._session.all(queries("selections")["profiles"], asked)
        entries = tuple(ProfileEntry(**row) for row in rows)
        return ProfilesAnswer(asset_id=asset_id, profiles=entries)

    def _type(self, asset: dict[str, Any], asset_id: str, artifact_type: str) -> dict[str, Any]:
        asked = asset | {"artifact_type": artifact_type}
        found = self._session.one(queries("selections")["type_of_asset"], asked)
        if found is None:
            there = self.profiles(AssetId(asset_id)).profiles
            names = sorted({each.artifact_type for each in there})
            raise NotFound(
                f"{asset_id} has no {artifact_type} artifacts",
                expected=f"one of {', '.join(names)}" if names else "a run with artifacts",
                got=repr(artifact_type),
            )
        return found

    def _choice(
        self,
        keys: dict[str, Any],
        asset_id: str,
        artifact_type: str,
        selection: Selection,
        installation: str | None,
    ) -> dict[str, Any]:
        """The row of a selection that means something."""
        row = {
            "mode": selection.mode.value,
            "profile": selection.profile,
            "run_key": None,
            "ordinal": selection.ordinal,
        }
        if selection.mode is SelectionMode.PINNED:
            asked = keys | {
                "run_id": selection.run_id,
                "ordinal": selection.ordinal,
                "installation": installation,
            }
            found = self._session.one(queries("selections")["run_with_type"], asked)
            if found is None:
                alone = "" if selection.ordinal is None else f", ordinal {selection.ordinal}"
                raise NotFound(
                    f"no completed run {selection.run_id!r} of {asset_id} with "
                    f"{artifact_type}{alone}",
                    hint=f"`filmgate profiles {asset_id}` lists what there is",
                )
            row |= found
        if selection.mode in {SelectionMode.LATEST, SelectionMode.BEST_QUALITY}:
            found = self._session.need(queries("selections")["any_run"], keys)
            if found["run_key"] is None:
                raise NotFound(
                    f"no completed run of {asset_id} with {artifact_type}",
                    hint=f"`filmgate profiles {asset_id}` lists what there is",
                )
        if selection.mode is SelectionMode.PROFILE:
            there = self.profiles(AssetId(asset_id), artifact_type).profiles
            names = [each.model_profile for each in there]
            if selection.profile not in names:
                raise NotFound(
                    f"{asset_id} has no {artifact_type} under profile {selection.profile!r}",
                    expected=f"one of {', '.join(names)}",
                    got=repr(selection.profile),
                )
        return row


def _check_manifests(snapshot: SnapshotAnswer, cited: Mapping[str, Mapping[str, Any]]) -> None:
    for artifact_type, facts in cited.items():
        served, due = snapshot.served.get(artifact_type), facts.get("manifest_sha256")
        if served is not None and due is not None and served.manifest_sha256 != due:
            raise Conflict(
                f"run {served.run_id} is not what it was",
                expected=f"manifest {due}",
                got=f"manifest {served.manifest_sha256}",
                hint="It was changed and ingested again; pin it by name if that is meant",
            )


def _selection(row: dict[str, Any]) -> Selection:
    return Selection(
        mode=SelectionMode(row["mode"]),
        profile=row["profile"],
        run_id=row["run_id"],
        ordinal=row["ordinal"],
    )
