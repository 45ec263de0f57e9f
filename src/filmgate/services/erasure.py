"""Erasure of a person from all runs of the home, from the database and from snapshots and logs.

The plan of an erasure is stored in the home before the first file changes. It contains neither the
name nor a vector. If the erasure is interrupted, the same request continues with the plan; the plan
is removed last.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from filmgate.core.answers import ErasedRun, ErasureAnswer, PublishedCopy
from filmgate.core.digest import sha256_hex
from filmgate.core.erasure import PersonErasure, Subject, Traces
from filmgate.core.errors import FilmgateError, Held, Invalid, NotFound
from filmgate.core.manifest import Ledger
from filmgate.core.people import PEOPLE, KnownPeople, Person
from filmgate.core.progress import ProgressCallback, ignore_progress
from filmgate.core.publishing import MANIFEST, run_prefix
from filmgate.db.erasure import ErasureStore
from filmgate.db.people import NamedVector, PeopleStore
from filmgate.engine.erasure import (
    ErasureRequest,
    RecordedFiles,
    erase,
    find_current_stages,
    uses_resource,
)
from filmgate.services.access import AccessService
from filmgate.services.runs import Runs
from filmgate.store.durable import make_folders, replace_file
from filmgate.store.event_log import mask_words
from filmgate.store.home import Home
from filmgate.store.run_directory import LOGS, FolderRun
from filmgate.store.snapshots import Snapshots
from filmgate.wiring import exports, pipelines
from filmgate.wiring.artifact_types import registry
from filmgate.wiring.clock import utc_now
from filmgate.wiring.database import Database
from filmgate.wiring.settings import Settings

PLANS = "erasures"
"""Folder of the plans of erasures that are not complete, in the home."""


class _PlanValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PlannedRun(_PlanValue):
    """A run whose files change."""

    asset_id: str
    run_id: str
    traces: Traces
    current_stages: tuple[str, ...]
    """Stages that were up to date before the erasure."""
    is_begun: bool = False
    is_done: bool = False
    files: tuple[str, ...] = ()
    """Paths of the files that were changed; empty before the run is done."""

    @property
    def key(self) -> tuple[str, str]:
        """Asset id and run id."""
        return (self.asset_id, self.run_id)


class ErasurePlan(_PlanValue):
    """`erasures/{digest}.json`: the runs from which a person is erased."""

    person_id: str
    name_sha256: str
    """Digest of the lower-case name, by which an interrupted erasure is found."""
    runs: tuple[PlannedRun, ...]
    snapshots: dict[str, str | None]
    """New digest of each snapshot that contained the person; None: no person is left in it."""

    def matches(self, person: str) -> bool:
        """Whether this is the plan for a person, given by name or id."""
        return person == self.person_id or _name_digest(person) == self.name_sha256

    def with_run(self, run: PlannedRun) -> "ErasurePlan":
        """Return the plan with a new state of a run."""
        runs = tuple(run if each.key == run.key else each for each in self.runs)
        return self.model_copy(update={"runs": runs})


class ErasureService:
    """Erases people. Each call opens database sessions."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self._settings = settings
        self._home = Home(settings.home.expanduser())
        self._database = database or Database(settings)
        self._snapshots = Snapshots(self._home.root / PEOPLE, PEOPLE)

    def erase(
        self,
        person: str,
        *,
        dry_run: bool = False,
        report_progress: ProgressCallback = ignore_progress,
        is_audited: bool = True,
    ) -> ErasureAnswer:
        """Erase the person with a name or id; with `dry_run`, only report what would change.

        `report_progress` is called with the number of finished runs and the total. With
        `is_audited`, an entry is added to the audit log. An interrupted erasure is continued.

        Raises NotFound if no such person is known. If a run cannot be changed, because a runner
        works on it or a file was altered, the others are changed, and the person stays known until
        the erasure is repeated without an error.
        """
        with self._database.keep_running():
            stored = self._find_plan(person)
            with self._database.session() as connection:
                known = PeopleStore(connection)
                person_id = stored.person_id if stored else known.find(person).person_id
                everyone, named = known.known(), known.named_clusters()
            subject = next((p for p in everyone.people if p.person_id == person_id), None)
            if subject is None:
                return self._complete(
                    stored, person, report_progress, dry_run=dry_run, is_audited=is_audited
                )
            plan = self._make_plan(subject, everyone, named, stored)
            if dry_run:
                return self._answer(self._forecast(plan, subject), subject.name, is_dry_run=True)
            plan = self._erase_runs(plan, subject, report_progress)
            self._check_none_is_running()
            latest = self._make_plan(subject, everyone, named, plan)
            plan = self._erase_runs(latest, subject, report_progress)
            self._check_none_is_running()  # a run may have started during the search
            self._remove_snapshots(plan)
            self._mask_logs(subject.name, subject.person_id)
            answer = self._answer(plan, subject.name, is_dry_run=False)
            with self._database.session() as connection:
                ErasureStore(connection).remove(subject.person_id)
            if is_audited:
                self._record(plan)
            notes = self._finish(plan, subject.name, subject.person_id)
            return answer.model_copy(update={"notes": (*answer.notes, *notes)})

    def _complete(
        self,
        stored: ErasurePlan | None,
        person: str,
        report_progress: ProgressCallback,
        *,
        dry_run: bool,
        is_audited: bool,
    ) -> ErasureAnswer:
        """Complete the erasure of a person who is no longer in the database.

        Runs that are not done are erased by the traces in the plan. Only the name is missing there,
        which the request must state.
        """
        if stored is None or dry_run:
            raise NotFound(f"person {person!r} does not exist")
        plan, name = stored, " ".join(person.split())
        if not all(run.is_done for run in stored.runs):
            if _name_digest(name) != stored.name_sha256:
                raise Invalid(
                    "the erasure cannot be continued by the id of the person",
                    expected="the name, because the person is no longer in the database",
                    got=person,
                )
            subject = Person(person_id=stored.person_id, name=name, references=())
            plan = self._erase_runs(stored, subject, report_progress)
            self._remove_snapshots(plan)
        answer = self._answer(plan, person, is_dry_run=False)
        with self._database.session() as connection:
            ErasureStore(connection).remove(plan.person_id)
        if is_audited:
            self._record(plan)
        notes = self._finish(plan, name, plan.person_id)
        return answer.model_copy(update={"notes": (*answer.notes, *notes)})

    def _record(self, plan: ErasurePlan) -> None:
        AccessService(self._settings, self._database).record_local_change(
            "people remove", "person", runs=str(len(plan.runs))
        )

    def _make_plan(
        self,
        subject: Person,
        everyone: KnownPeople,
        named: list[NamedVector],
        stored: ErasurePlan | None,
    ) -> ErasurePlan:
        """Find the person in all runs; runs of a stored plan keep what was found before.

        Those that are done are searched again: they may have been executed since, with the person.
        """
        snapshots = dict(self._find_snapshots(subject)) | (stored.snapshots if stored else {})
        others = tuple(p for p in everyone.people if p.person_id != subject.person_id)
        earlier = {run.key: run for run in stored.runs} if stored else {}
        runs = list(earlier.values())
        for run, erasure in self._runs_with_people():
            key = (run.head.asset.id, run.head.run_id)
            if key in earlier and not earlier[key].is_done:
                continue
            of_run = [each for each in named if (each.asset_id, each.run_id) == key]
            is_own = {each.cluster_id: each.person_id == subject.person_id for each in of_run}
            vectors = {each.cluster_id: each.vector_sha256 for each in of_run}
            in_run = Subject(
                person=subject,
                others=others,
                named={name: vectors[name] for name in vectors if is_own[name]},
                named_others={name: vectors[name] for name in vectors if not is_own[name]},
            )
            ledger = run.ledger()
            traces = erasure.find(RecordedFiles(run, ledger), in_run)
            if key in earlier:
                if not traces.is_empty:
                    runs[runs.index(earlier[key])] = _reopened(earlier[key], traces, ledger)
                continue
            is_open = run.read_seal() is None
            is_touched = uses_resource(ledger, snapshots) or ledger.unrecorded_attempts
            if not traces.is_empty or traces.unsure or (is_open and is_touched):
                runs.append(
                    PlannedRun(
                        asset_id=key[0],
                        run_id=key[1],
                        traces=traces,
                        current_stages=tuple(sorted(find_current_stages(ledger))),
                    )
                )
        return ErasurePlan(
            person_id=subject.person_id,
            name_sha256=_name_digest(subject.name),
            runs=tuple(runs),
            snapshots=snapshots,
        )

    def _runs_with_people(self) -> Iterator[tuple[FolderRun, PersonErasure]]:
        erasures = {
            each.plan.pipeline: each.erasure
            for each in pipelines.load_all()
            if each.erasure is not None
        }
        for run in self._home.runs():
            if run.head.pipeline in erasures:
                yield run, erasures[run.head.pipeline]

    def _forecast(self, plan: ErasurePlan, subject: Person) -> ErasurePlan:
        """Return the plan with the paths of the files that would change in each run."""
        for planned in plan.runs:
            run = self._home.find(f"{planned.asset_id}/{planned.run_id}")
            pipeline = pipelines.load(run.head.pipeline)
            assert pipeline.erasure is not None
            contents = RecordedFiles(run, run.ledger())
            paths = set(pipeline.erasure.rewrite(contents, subject, planned.traces))
            if paths:
                remade = (pipeline.plan.find_stage(name) for name in pipeline.erasure.remake)
                made = (contract for stage in remade for contract in stage.makes)
                paths |= {contract.path for contract in made if contents.read(contract)}
            files = tuple(sorted({*planned.files, *paths}))
            plan = plan.with_run(planned.model_copy(update={"files": files}))
        return plan

    def _erase_runs(
        self, plan: ErasurePlan, subject: Person, report_progress: ProgressCallback
    ) -> ErasurePlan:
        """Erase the person from all runs that are not done; raise the first error at the end."""
        self._save_plan(plan)
        errors: list[FilmgateError] = []
        for number, run in enumerate(plan.runs):
            report_progress(number, len(plan.runs))
            if run.is_done:
                continue
            begun = run.model_copy(update={"is_begun": True})
            self._save_plan(plan := plan.with_run(begun))
            try:
                files = self._erase_run(run, plan, subject)
            except FilmgateError as error:
                errors.append(error)
                continue
            done = {"is_done": True, "files": tuple(sorted({*run.files, *files}))}
            self._save_plan(plan := plan.with_run(begun.model_copy(update=done)))
        report_progress(len(plan.runs), len(plan.runs))
        if errors:
            raise errors[0]
        return plan

    def _check_none_is_running(self) -> None:
        """Raise Held if a run is in progress: it may have read the person's name and vectors."""
        for run, _ in self._runs_with_people():
            if run.is_held():
                raise Held(
                    f"run {run.head.run_id} of {run.head.asset.id} is in progress",
                    expected="no run in progress, because it may show the person",
                    got="a runner that holds the run",
                    hint="The person was erased from all other runs. Repeat when the run has ended",
                )

    def _erase_run(
        self, planned: PlannedRun, plan: ErasurePlan, subject: Person
    ) -> tuple[str, ...]:
        """Erase the person from one run, and ingest it again if it was ingested before."""
        run = self._home.find(f"{planned.asset_id}/{planned.run_id}")
        pipeline = pipelines.load(run.head.pipeline)
        assert pipeline.erasure is not None
        request = ErasureRequest(
            plan=pipeline.plan,
            erasure=pipeline.erasure,
            person=subject,
            traces=planned.traces,
            current_stages=frozenset(planned.current_stages),
            resources=plan.snapshots,
            is_resumed=planned.is_begun,
        )
        sinks = exports.create_sinks(self._settings.export)
        files = erase(request, run, registry(), utc_now, sinks)
        with self._database.session() as connection:
            was_ingested = ErasureStore(connection).was_ingested(*planned.key)
        if was_ingested:
            Runs(self._settings, self._database).ingest(str(run.folder), ignore_progress)
        return files

    def _find_snapshots(self, subject: Person) -> Iterator[tuple[str, str | None]]:
        """Yield the digest of each snapshot that contains the person, and of the one that replaces
        it; None if no other person is in it."""
        for path in sorted(self._snapshots.folder.glob("*.json")):
            try:
                known = KnownPeople.model_validate_json(path.read_bytes())
            except ValueError:
                continue
            left = tuple(p for p in known.people if p.person_id != subject.person_id)
            if len(left) < len(known.people):
                data = KnownPeople(people=left).to_bytes()
                yield path.stem, sha256_hex(data) if left else None

    def _remove_snapshots(self, plan: ErasurePlan) -> None:
        """Replace the snapshots that contain the person by those without the person."""
        for digest in plan.snapshots:
            path = self._snapshots.folder / f"{digest}.json"
            if path.exists():
                known = KnownPeople.model_validate_json(path.read_bytes())
                left = tuple(p for p in known.people if p.person_id != plan.person_id)
                if left:
                    self._snapshots.save(KnownPeople(people=left).to_bytes())
                path.unlink()

    def _mask_logs(self, *words: str) -> None:
        """Mask the name in the logs of runs, of the database and of the home."""
        for run in self._home.runs():
            for path in (run.folder / LOGS).glob("*"):
                mask_words(path, words)
        for path in (*self._home.root.glob("*.log"), *self._home.root.glob("pg/cluster/*.log")):
            mask_words(path, words)

    def _finish(self, plan: ErasurePlan, name: str, person_id: str) -> list[str]:
        """Remove the bytes of deleted rows from the files of the database, then the plan.

        Returns notes on what was not removed.
        """
        self._mask_logs(name, person_id)
        notes = []
        with self._database.session() as connection:
            store = ErasureStore(connection)
            assets = {run.asset_id for run in plan.runs if run.traces.mentions}
            left = store.compact(assets)
            notes += [f"{table} could not be rewritten: the role lacks the right" for table in left]
            if self._settings.database_url is None:
                store.remove_write_ahead_log()
            else:
                notes.append(
                    "the write-ahead log and replicas of the server contain the person until their "
                    "segments are removed"
                )
        self._plan_path(plan.person_id).unlink(missing_ok=True)
        with suppress(OSError):
            self._plan_path(plan.person_id).parent.rmdir()
        return notes

    def _answer(self, plan: ErasurePlan, name: str, *, is_dry_run: bool) -> ErasureAnswer:
        erased, published, unsure = [], [], []
        for planned in plan.runs:
            names = f"{planned.asset_id}/{planned.run_id}"
            unsure += [f"{names}/{cluster}" for cluster in planned.traces.unsure]
            if planned.traces.is_empty:
                continue
            copies = list(self._published_copies(planned))
            published += copies
            run = self._home.find(names)
            erased.append(
                ErasedRun(
                    asset_id=planned.asset_id,
                    run_id=planned.run_id,
                    clusters=planned.traces.clusters,
                    files=planned.files,
                    is_sealed=run.read_seal() is not None,
                )
            )
        foreign = self._foreign_runs(plan)
        published += [copy for run in foreign for copy in self._copies(*run)]
        return ErasureAnswer(
            person_id=plan.person_id,
            name=name,
            is_dry_run=is_dry_run,
            runs=tuple(erased),
            published=tuple(published),
            unsure=tuple(unsure),
            notes=tuple(self._unsearched_runs()),
        )

    def _unsearched_runs(self) -> Iterator[str]:
        """Yield a note about each run that could not be searched."""
        known = pipelines.names()
        for run in self._home.runs():
            if run.head.pipeline not in known:
                yield f"{run.folder} was not searched: {run.head.pipeline} is not installed"
        for folder in self._home.unreadable_folders():
            yield f"{folder} was not searched: its run.json cannot be read"
        searched = {(run.head.asset.id, run.head.run_id) for run in self._home.runs()}
        erasable = [each.plan.pipeline for each in pipelines.load_all() if each.erasure is not None]
        with self._database.session() as connection:
            ingested = ErasureStore(connection).ingested_folders(erasable)
        for asset_id, run_id, source in ingested:
            if (asset_id, run_id) not in searched:
                yield f"{asset_id}/{run_id} was not searched: {source} is not in the home"

    def _published_copies(self, planned: PlannedRun) -> Iterator[PublishedCopy]:
        """Yield the copies of a run: that in its seal, and those that the database knows."""
        yield from (found := self._copies(*planned.key))
        seal = self._home.find(f"{planned.asset_id}/{planned.run_id}").read_seal()
        if seal is not None and seal.to not in {copy.source for copy in found}:
            yield PublishedCopy(
                asset_id=planned.asset_id,
                run_id=planned.run_id,
                source=seal.to,
                manifest_key=f"{run_prefix(*planned.key)}/{MANIFEST}",
            )

    def _copies(self, asset_id: str, run_id: str) -> list[PublishedCopy]:
        with self._database.session() as connection:
            return ErasureStore(connection).published_copies(asset_id, run_id)

    def _foreign_runs(self, plan: ErasurePlan) -> list[tuple[str, str]]:
        """List runs in the database that name the person and are not in the home."""
        with self._database.session() as connection:
            named = ErasureStore(connection).runs_with_person(plan.person_id)
        own = {run.key for run in plan.runs}
        return [run for run in named if run not in own]

    def _find_plan(self, person: str) -> ErasurePlan | None:
        """Return the plan of an erasure that was interrupted."""
        for path in sorted((self._home.root / PLANS).glob("*.json")):
            plan = ErasurePlan.model_validate_json(path.read_bytes())
            if plan.matches(person):
                existing = {(r.head.asset.id, r.head.run_id) for r in self._home.runs()}
                runs = tuple(run for run in plan.runs if run.key in existing)
                return plan.model_copy(update={"runs": runs})
        return None

    def _plan_path(self, person_id: str) -> Path:
        return self._home.root / PLANS / f"{sha256_hex(person_id.encode())[:32]}.json"

    def _save_plan(self, plan: ErasurePlan) -> None:
        path = self._plan_path(plan.person_id)
        make_folders(path.parent)
        replace_file(path, plan.model_dump_json().encode() + b"\n", durable=True)


def _reopened(run: PlannedRun, traces: Traces, ledger: Ledger) -> PlannedRun:
    """Return a run that was done, to erase what was found in it since."""
    before = run.traces
    names = ("clusters", "tracks", "mentions")
    both = {
        name: tuple(dict.fromkeys((*getattr(before, name), *getattr(traces, name))))
        for name in names
    }
    update = {
        "traces": traces.model_copy(update=both),
        "current_stages": tuple(sorted(find_current_stages(ledger))),
        "is_begun": False,
        "is_done": False,
    }
    return run.model_copy(update=update)


def _name_digest(name: str) -> str:
    return sha256_hex(" ".join(name.split()).lower().encode())
