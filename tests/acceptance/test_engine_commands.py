"""Gates, plans, adoption and telemetry of the episode pipeline, with the command line."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import WITHOUT_SLOW_STAGES, Filmgate
from support.films import film_of_shots

SRT = "1\n00:00:00,200 --> 00:00:00,900\nCheck the gate\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    (folder / "words.srt").write_text(SRT)
    return film_of_shots(folder / "gate.mkv", [25, 20], subtitles=folder / "words.srt")


@pytest.fixture
def filmgate(tmp_path: Path) -> Filmgate:
    return Filmgate(tmp_path / "home")


def run(filmgate: Filmgate, film: Path, *options: object, code: int = 0) -> dict[str, Any]:
    return filmgate.json("run", "episode", film, "--no-ingest", *options, code=code)


def fates(forecast: dict[str, Any]) -> dict[str, str]:
    return {stage["stage"]: stage["fate"] for stage in forecast["stages"]}


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


EDGES = [("probe", "scenes"), ("probe", "transcript")]


@pytest.mark.parametrize(
    "tamper",
    [
        flip,
        pytest.param(halve, marks=pytest.mark.proof),
        pytest.param(Path.unlink, marks=pytest.mark.proof),
    ],
)
@pytest.mark.parametrize(("upstream", "stage"), EDGES)
def test_every_edge_of_the_plan_refuses_a_tampered_file_and_repairs_it(
    filmgate: Filmgate, film: Path, upstream: str, stage: str, tamper: Callable[[Path], None]
) -> None:
    intact = run(filmgate, film)
    (ref,) = intact["stages"][upstream]["artifacts"]
    tamper(filmgate.folder(intact) / ref["path"])
    refused = run(filmgate, film, "--stages", stage, code=3)
    blocked = refused["stages"][stage]
    assert blocked["blocked"]["reasons"][0]["path"] == ref["path"]
    assert blocked["blocked"]["reasons"][0]["code"] in {"missing_artifact", "digest_mismatch"}
    repaired = run(filmgate, film, "--stages", stage, "--repair")
    assert intact["run_id"] == refused["run_id"] == repaired["run_id"]
    assert repaired["stages"][upstream]["attempt"] == 2
    assert repaired["stages"][stage]["attempt"] == 1
    assert repaired["stages"][upstream]["artifacts"] == [ref]


@pytest.mark.proof
def test_plan_shows_what_run_would_do_and_writes_nothing(filmgate: Filmgate, film: Path) -> None:
    before = filmgate.json("plan", "episode", film)
    assert before["run_id"] is None
    assert set(fates(before).values()) == {"run", "skip"}  # `skip`: stages that are switched off
    assert not (filmgate.home / "manifests").exists()
    run(filmgate, film, "--stages", "probe")
    forecast = filmgate.json("plan", "episode", film)
    running = {name: fate for name, fate in fates(forecast).items() if fate != "skip"}
    assert running["probe"] == "reuse"
    assert {fate for name, fate in running.items() if name != "probe"} == {"run"}
    assert "has not run yet" in filmgate("plan", "episode", film).stdout


@pytest.mark.proof
def test_a_setting_is_part_of_the_frozen_config_and_a_wrong_one_is_refused_by_name(
    filmgate: Filmgate, film: Path
) -> None:
    off = run(filmgate, film, "--set", "scenes.enabled=false")
    assert off["config"]["scenes"]["enabled"] is False
    assert off["stages"]["scenes"]["status"] == "SKIPPED"
    on = run(filmgate, film)
    assert on["run_id"] != off["run_id"]
    usage = {"nonsense.enabled=true": 2}
    for wrong in ("scenes.nonsense=1", *usage, "scenes.enabled=perhaps", "x"):
        error = run(filmgate, film, "--set", wrong, code=usage.get(wrong, 4))
        assert error["details"]["expected"]


@pytest.mark.proof
def test_files_edited_by_hand_are_adopted_from_the_runs_folder(
    filmgate: Filmgate, film: Path
) -> None:
    first = run(filmgate, film)
    folder = filmgate.folder(first)
    path = folder / "transcript.jsonl"
    path.write_text(path.read_text().replace("Check", "Mind"))
    assert filmgate("verify", "gate").returncode == 3
    adopted = filmgate.json("adopt", "transcript", folder)
    assert adopted["stages"]["transcript"]["producer"]["name"] == "human"
    assert adopted["stages"]["transcript"]["counts"] == {"segments": 1}
    assert filmgate("verify", "gate").returncode == 0
    filmgate.cwd = folder
    path.write_text(path.read_text().replace("Mind", "Watch"))
    assert filmgate("adopt", "transcript").returncode == 0, "the current folder is the run"
    assert filmgate("verify", ".").returncode == 0
    path.write_text("not a valid record")
    refused = filmgate.json("adopt", "transcript", folder, code=4)
    assert refused["error"] == "contract_broken"


def test_parallel_stages_write_the_same_bytes(filmgate: Filmgate, film: Path) -> None:
    one = run(filmgate, film, "--new")
    two = run(filmgate, film, "--new", "--jobs", 2, "--verify", "full")
    assert one["run_id"] != two["run_id"]
    for name in ("probe", "scenes", "transcript"):
        assert one["stages"][name]["artifacts"] == two["stages"][name]["artifacts"]


def test_a_log_file_contains_the_events_of_every_stage(
    filmgate: Filmgate, film: Path, tmp_path: Path
) -> None:
    log = tmp_path / "deep" / "run.ndjson"
    run(filmgate, film, "--log-file", log, "--log-level", "debug")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert {event.get("stage") for event in events} >= {None, "probe", "scenes", "transcript"}
    assert {event["event"] for event in events} >= {"run.started", "gate.open", "run.ended"}


def test_an_unknown_export_is_reported_by_name(filmgate: Filmgate, film: Path) -> None:
    filmgate.env["FILMGATE_EXPORT"] = "carrier"
    error = run(filmgate, film, code=4)
    assert "openlineage, opentelemetry" in error["message"]
    filmgate.env |= {"FILMGATE_EXPORT": "openlineage", "OPENLINEAGE_URL": "not an address"}
    assert "OPENLINEAGE_URL" in run(filmgate, film, code=4)["message"]
    assert not (filmgate.home / "manifests").exists(), "no run was created"


def test_another_config_for_the_same_run_is_reported_with_the_setting(
    filmgate: Filmgate, film: Path
) -> None:
    run(filmgate, film, "--run-id", "mine", "--stages", "probe")
    other = ("--run-id", "mine", "--set", "scenes.enabled=false")
    error = run(filmgate, film, *other, code=4)
    assert error["details"]["expected"] == "scenes.enabled True"


@pytest.mark.proof
def test_plan_takes_the_options_of_run_and_exits_with_3_for_blocked_gates(
    filmgate: Filmgate, film: Path
) -> None:
    first = run(filmgate, film)
    (filmgate.folder(first) / "probe.json").unlink()
    options = ("--run-id", first["run_id"], "--jobs", 2, "--no-ingest", "--strict")
    forecast = filmgate.json("plan", "episode", film, *options, code=3)
    assert set(fates(forecast).values()) == {"blocked"}


def test_output_of_a_stage_does_not_go_to_standard_output(tmp_path: Path) -> None:
    code = """if True:
        import os, subprocess
        from filmgate.cli.output import results_only
        with results_only():
            print("printed")
            os.write(1, b"written")
            subprocess.run(["echo", "output of a program"], check=True)
        print("result")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "result\n"
    assert "output of a program" in done.stderr


@pytest.mark.proof
def test_legacy_runs_are_listed_and_marked_so(filmgate: Filmgate) -> None:
    marker = filmgate.home / "manifests" / "old-s01e01" / "runs" / "detect_track.json"
    marker.parent.mkdir(parents=True)
    marker.write_text('{"status": "success"}')
    assert "SUCCESS (legacy)" in filmgate("status").stdout
    (listed,) = filmgate.json("status")["legacy"]
    assert listed["data_source"] == "legacy"
    assert "its files were not verified" in filmgate("status", "old-s01e01").stdout
    assert filmgate.json("status", "old-s01e01")["stages"]["detect"]["status"] == "SUCCESS"


@pytest.fixture
def long_run(filmgate: Filmgate, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    film = film_of_shots(tmp_path / "long.mkv", [500] * 5)
    command = [*filmgate.command, "run", "episode", str(film), *WITHOUT_SLOW_STAGES, "--no-ingest"]
    with subprocess.Popen(
        command,
        env=filmgate.env,
        cwd=filmgate.home.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        deadline = time.monotonic() + 30
        while not list(filmgate.home.glob("manifests/long/runs/*/attempts/scenes.a1")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield child
        child.terminate()


@pytest.mark.proof
def test_watch_lasts_until_the_run_ends_and_a_second_runner_learns_who_holds_the_run(
    filmgate: Filmgate, long_run: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    held = run(filmgate, tmp_path / "long.mkv", code=6)
    assert held["details"]["holder"]["pid"] == long_run.pid
    watched = filmgate("status", "long", "--watch")
    assert long_run.wait(30) == 0
    assert watched.returncode == 0
    assert "SUCCESS" in watched.stdout
    assert "5 scenes" in watched.stdout
