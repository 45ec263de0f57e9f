"""Stages and plans run in memory, with the checks of a real run."""

import gc
import subprocess
import sys
import tempfile
from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import BaseModel

import filmgate.testing
from filmgate.core.errors import Invalid, NotFound, UsageError
from filmgate.core.files import artifacts, binary, document, parquet, records
from filmgate.core.pipeline import InputFiles, Pipeline
from filmgate.core.plan import Done, Outcome, Producer, Settings, Skipped, stage
from filmgate.core.ports import StageContext, Timed
from filmgate.core.resources import Resource
from filmgate.core.states import RunState, StageState
from filmgate.testing import MemoryObjectStore, run_pipeline, run_stage
from support.runs import LETTERS, PLAN, SCENES, WORDS, Letters, read, scenes_of, segments_of

PRODUCER = Producer(name="tests", version="1")


class Word(BaseModel):
    word: str


class FindSettings(Settings):
    longest: bool = True


GIVEN = records("given.jsonl", Word, schema="given", min_records=1, counted_as="given")
FOUND = document("found.json", Word, schema="found")
COPIES = records("copies.jsonl", Word, schema="copies", min_records=2, counted_as="copies")
CUTS = artifacts("cuts.jsonl", "transcript.segment")
PICTURE = binary("picture.bin", schema="picture")
TABLE = parquet("table.parquet", schema="table", columns={"n": "int64"})


@stage(requires=["give"], makes=[FOUND], settings=FindSettings)
def find(context: StageContext, settings: FindSettings) -> Outcome:
    words = list(context.read_records(GIVEN, Word))
    pick = max if settings.longest else min
    context.warn("looked", "looked at every word", words=len(words))
    context.write_document(FOUND, pick(words, key=lambda record: len(record.word)))
    return Done(producer=PRODUCER, counts={"words": len(words)}, metrics={"score": 0.5})


WORDS_GIVEN = [Word(word="a"), Word(word="bbb"), Word(word="cc")]


def test_a_stage_reads_the_files_that_the_test_gives() -> None:
    result = run_stage(find, files={GIVEN: WORDS_GIVEN})
    assert result.status is StageState.SUCCESS
    assert result.outcome == Done(producer=PRODUCER, counts={"words": 3}, metrics={"score": 0.5})
    assert result.read_document(FOUND, Word) == Word(word="bbb")
    assert result.read_bytes(FOUND) == b'{"word":"bbb"}\n'
    assert result.counts == {"words": 3}
    assert result.metrics == {"score": 0.5}
    assert [warning["code"] for warning in result.warnings] == ["looked"]
    assert (result.error, result.exception, result.skip_reason) == (None, None, None)
    assert (result.blocked_by, result.item_errors) == ((), ())


@pytest.mark.parametrize("settings", [FindSettings(longest=False), {"longest": False}])
def test_a_stage_gets_its_settings(settings: FindSettings | dict[str, bool]) -> None:
    result = run_stage(find, files={GIVEN: WORDS_GIVEN}, settings=settings)
    assert result.read_document(FOUND, Word) == Word(word="a")


def test_an_invalid_setting_is_refused() -> None:
    with pytest.raises(Invalid, match="setting is invalid"):
        run_stage(find, files={GIVEN: WORDS_GIVEN}, settings={"longst": True})


def test_a_stage_reads_its_sources_from_bytes_or_from_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("xy")
    for contents in (b"xy", tmp_path / "a.txt"):
        result = run_stage(read, sources={"a.txt": contents, "more/b.txt": b"z"})
        assert result.read_document(LETTERS, Letters).letters == ["x", "y"]
        assert set(result.run.head.source_sha_map) == {"a.txt", "more/b.txt"}


def test_a_run_without_an_input_is_refused() -> None:
    with pytest.raises(Invalid, match="the run has no input"):
        run_stage(read, sources={})


def test_the_exception_of_a_stage_is_kept_and_is_the_cause_when_a_file_is_missing() -> None:
    result = run_stage(read, sources={"a.txt": b"!"})
    assert result.status is StageState.FAILED
    assert isinstance(result.exception, RuntimeError)
    assert result.error is not None
    assert result.error.message == "RuntimeError: the source is invalid"
    assert result.outcome is None
    assert not result.has(LETTERS)
    with pytest.raises(NotFound, match=r"stage read FAILED: .*the source is invalid") as missing:
        result.read_document(LETTERS, Letters)
    assert missing.value.__cause__ is result.exception


@stage(makes=[COPIES])
def copy(context: StageContext, settings: Settings) -> Outcome:
    text = context.source.read_text()
    if text != "nothing":
        context.write_records(COPIES, [Word(word=each) for each in text.split()])
    return Done(producer=PRODUCER, counts={"copies": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "did not make all of its files"),
        ("one", "too few records"),
        ("one two three", "count 'copies' of stage copy is wrong"),
    ],
)
def test_a_broken_contract_fails_the_stage_as_in_a_real_run(text: str, message: str) -> None:
    result = run_stage(copy, sources={"a.txt": text.encode()})
    assert result.status is StageState.FAILED
    assert result.error is not None
    assert result.error.code == "contract_broken"
    assert message in result.error.message
    assert not result.has(COPIES)


def test_records_are_parsed_in_file_order() -> None:
    result = run_stage(copy, sources={"a.txt": b"one two"})
    assert result.read_records(COPIES, Word) == [Word(word="one"), Word(word="two")]
    assert isinstance(result.outcome, Done)


@stage(uses=["give", "other"], uses_if_run=["later"], makes=[FOUND])
def choose(context: StageContext, settings: Settings) -> Outcome:
    records = {name: context.record(name) for name in ("give", "other", "later")}
    states = ",".join(str(record and record.status) for record in records.values())
    if not context.has(GIVEN):
        return Skipped(states)
    context.write_document(FOUND, Word(word=states))
    return Done(producer=PRODUCER)


def test_stages_that_the_stage_depends_on_can_be_skipped() -> None:
    result = run_stage(choose, skipped=["give", "later"])
    assert (result.status, result.outcome) == (
        StageState.SKIPPED,
        Skipped("SKIPPED,SUCCESS,SKIPPED"),
    )
    assert result.skip_reason == "SKIPPED,SUCCESS,SKIPPED"
    result = run_stage(choose, files={GIVEN: WORDS_GIVEN}, skipped=["give"])
    assert result.read_document(FOUND, Word) == Word(word="SKIPPED,SUCCESS,SUCCESS")


def test_a_stage_is_not_called_if_it_is_disabled_or_requires_a_skipped_stage() -> None:
    for result in (
        run_stage(find, files={GIVEN: WORDS_GIVEN}, settings={"enabled": False}),
        run_stage(find, skipped=["give"]),
    ):
        assert (result.status, result.outcome) == (StageState.SKIPPED, None)
        assert result.skip_reason


def test_a_name_of_a_stage_that_is_not_upstream_is_refused() -> None:
    with pytest.raises(UsageError, match="find does not depend on gvie"):
        run_stage(find, skipped=["gvie"])


def test_given_files_must_match_their_contracts() -> None:
    with pytest.raises(Invalid, match=r"files for stage find .*too few records"):
        run_stage(find, files={GIVEN: []})
    with pytest.raises(Invalid, match="expected an iterable of models; got bytes"):
        run_stage(find, files={GIVEN: b"{}"})
    with pytest.raises(Invalid, match="expected Word; got Letters"):
        run_stage(find, files={GIVEN: [Letters(letters=[])]})
    with pytest.raises(Invalid, match="stage copy cannot read files"):
        run_stage(copy, files={GIVEN: WORDS_GIVEN})


def test_a_file_that_the_test_did_not_give_fails_the_stage() -> None:
    result = run_stage(find)
    assert result.error is not None
    assert "reads a file that its gate did not verify" in result.error.message


@stage(requires=["give"], makes=[SCENES, PICTURE])
def draw(context: StageContext, settings: Settings) -> Outcome:
    cuts = [line.span_start_ms for line in context.read_artifacts(CUTS)]
    rows = context.path(TABLE).read_bytes()
    context.write_artifacts(SCENES, scenes_of(len(cuts)))
    with context.create(PICTURE) as file:
        file.write(rows[:4])
    return Done(producer=PRODUCER)


def table(tmp_path: Path) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as tables

    tables.write_table(pa.table({"n": [1, 2]}), tmp_path / "t.parquet")
    return (tmp_path / "t.parquet").read_bytes()


def test_artifacts_tables_and_binary_files_are_given_and_read(tmp_path: Path) -> None:
    given: dict[filmgate.FileContract, list[Timed] | bytes] = {
        CUTS: list(segments_of(["a", "b"])),
        TABLE: table(tmp_path),
    }
    result = run_stage(draw, files=given)
    assert [line.span_start_ms for line in result.read_artifacts(SCENES)] == [0, 1000]
    assert result.read_bytes(PICTURE) == b"PAR1"


def halve(number: int) -> float:
    return 1 / number


@stage()
def divide(context: StageContext, settings: Settings) -> Outcome:
    values = [mapped.value for mapped in context.map(halve, [1, 0, 2]) if mapped.is_good]
    return Done(producer=PRODUCER, metrics={"values": values})


def test_errors_of_items_are_reported_and_strict_fails_the_stage() -> None:
    result = run_stage(divide)
    assert result.metrics == {"values": [1.0, 0.5]}
    assert result.counts == {"failed": 1}
    assert [error.item for error in result.item_errors] == ["0"]
    assert run_stage(divide, strict=True).status is StageState.FAILED


@stage(reads_resources=["names"])
def lookup(context: StageContext, settings: Settings) -> Outcome:
    names = context.resource("names")
    store = context.open_store("memory://inbox")
    with store.open("a.txt") as file:
        text = file.read().decode()
    return Done(producer=PRODUCER, metrics={"names": names.sha256 if names else None, "text": text})


def test_a_stage_reads_resources_and_object_stores(tmp_path: Path) -> None:
    store = MemoryObjectStore("memory://inbox")
    store.create("a.txt", b"hello")
    names = Resource(name="names", sha256="a" * 64, path=tmp_path)
    stores = {"memory://inbox/": store}
    result = run_stage(lookup, resources={"names": names}, stores=stores)
    assert result.metrics == {"names": "a" * 64, "text": "hello"}
    assert run_stage(lookup, stores=stores).metrics["names"] is None
    assert isinstance(run_stage(lookup).exception, NotFound)


@stage(tools=["no-such-distribution"])
def needs_tool(context: StageContext, settings: Settings) -> Outcome:
    return Done(producer=PRODUCER)


def test_a_stage_whose_tool_is_not_installed_is_blocked() -> None:
    result = run_stage(needs_tool)
    assert (result.status, result.record, result.outcome) == (StageState.BLOCKED, None, None)
    assert [reason.code for reason in result.blocked_by] == ["provider_unavailable"]


def test_a_plan_runs_in_memory() -> None:
    result = run_pipeline(PLAN, {"source.txt": b"abc"})
    assert result.manifest.status is RunState.SUCCESS
    assert result.read_document(LETTERS, Letters).letters == ["a", "b", "c"]
    assert len(result.read_artifacts(SCENES)) == len(result.read_artifacts(WORDS)) == 3
    assert [event["event"] for event in result.run.events("read")] == [
        "stage.started",
        "stage.ended",
    ]


def test_a_run_in_memory_is_resumed() -> None:
    first = run_pipeline(PLAN, {"source.txt": b"abc"}, stages=["read"])
    assert first.manifest.status is RunState.INCOMPLETE
    second = run_pipeline(PLAN, {"source.txt": b"abc"}, run=first.run, jobs=2)
    assert second.manifest.status is RunState.SUCCESS
    second.run.put_file(LETTERS.path, b"{}")
    assert run_pipeline(PLAN, {"source.txt": b"abc"}, run=first.run).manifest.is_blocked
    repaired = run_pipeline(PLAN, {"source.txt": b"abc"}, run=first.run, repair=True)
    assert [entry.attempt for entry in repaired.manifest.stages.values()] == [2, 1, 1]
    changed = run_pipeline(PLAN, {"source.txt": b"abd"}, run=first.run)
    assert changed.manifest.is_blocked


def test_a_failed_stage_stops_the_stages_after_it() -> None:
    result = run_pipeline(PLAN, {"source.txt": b"!"})
    states = {name: entry.status for name, entry in result.manifest.stages.items()}
    assert set(states.values()) == {StageState.FAILED, StageState.BLOCKED}
    assert set(result.exceptions) == {"read"}
    with pytest.raises(NotFound, match="stage part BLOCKED: upstream_failed"):
        result.read_artifacts(SCENES)


def test_a_pipeline_admits_its_input_and_has_profiles(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a", "b"):
        (tmp_path / "folder" / name).write_text(f"{name}xyz")

    def admit(path: Path) -> InputFiles:
        files = {file.name: file for file in sorted(path.iterdir())}
        return InputFiles(files=files, media={"kind": "folder"}, is_collection=True)

    profiles = {"balanced": {}, "fast": {"read": {"limit": 2}}}
    pipeline = Pipeline(plan=PLAN, admit=admit, profiles=MappingProxyType(profiles))
    folder = tmp_path / "folder"
    result = run_pipeline(pipeline, folder, profile="fast")
    assert result.read_document(LETTERS, Letters).letters == ["a", "x"]
    assert result.manifest.asset.media == {"kind": "folder"}
    assert result.manifest.asset.size_bytes == 8
    result = run_pipeline(pipeline, folder, profile="fast", settings={"read": {"limit": 3}})
    assert result.read_document(LETTERS, Letters).letters == ["a", "x", "y"]
    with pytest.raises(Invalid, match="profile 'slow' does not exist"):
        run_pipeline(pipeline, folder, profile="slow")
    with pytest.raises(NotFound, match="does not exist"):
        run_pipeline(PLAN, tmp_path / "nothing")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_nothing_is_left_in_the_temporary_folder(temporary: Path) -> None:
    result = run_pipeline(PLAN, {"source.txt": b"abc"})
    assert list(temporary.iterdir()) == []
    copy_of_letters = result.run.path_of(LETTERS.path)
    assert copy_of_letters.is_relative_to(temporary)
    assert copy_of_letters.exists()
    del result
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_every_public_name_is_importable() -> None:
    assert filmgate.testing.__all__ == sorted(filmgate.testing.__all__)
    for name in filmgate.testing.__all__:
        assert getattr(filmgate.testing, name).__module__.startswith("filmgate.testing.")


def test_importing_it_loads_no_third_party_package_but_pydantic() -> None:
    code = """if True:
        import sys
        import annotated_types, pydantic, typing_extensions
        from importlib.metadata import packages_distributions
        before = set(sys.modules)
        import filmgate.testing
        new = {name.partition('.')[0] for name in set(sys.modules) - before}
        third = set(packages_distributions()) - {'filmgate', 'pydantic', 'pydantic_core'}
        print(sorted(new & third))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
