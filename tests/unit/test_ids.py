"""Names that are safe as folders, keys and words in a URL."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filmgate.core.errors import Invalid
from filmgate.core.ids import (
    asset_id_from_name,
    attempt_number,
    attempt_run_id,
    episode_of,
    parse_asset_id,
    parse_run_id,
)


@pytest.mark.parametrize("bad", ["", "a/b", "../x", ".hidden", "-x", "a b", "a" * 129, "a\n", "é"])
def test_a_name_that_could_leave_its_folder_is_refused(bad: str) -> None:
    for parse in (parse_asset_id, parse_run_id):
        with pytest.raises(Invalid, match="letters, digits"):
            parse(bad)


@given(st.uuids(version=4))
def test_a_uuid_is_one_run_id_in_all_its_spellings(uuid: UUID) -> None:
    spellings = (str(uuid), str(uuid).upper(), uuid.hex)
    assert {parse_run_id(spelling) for spelling in spellings} == {uuid.hex}


@given(st.text(max_size=200))
def test_every_file_name_suggests_a_good_asset_id(name: str) -> None:
    asset_id = asset_id_from_name(name)
    assert parse_asset_id(asset_id) == asset_id


def test_an_attempt_id_counts_and_tells_new_york_time() -> None:
    summer = attempt_run_id(12, datetime(2026, 7, 1, 3, 0, 5, tzinfo=UTC))
    assert summer == "Attempt12_2026-06-30_230005_EST"
    assert (attempt_number(summer), attempt_number("other")) == (12, None)
    assert parse_run_id(summer) == summer


def test_an_episode_names_show_season_and_episode() -> None:
    assert episode_of("rhobh-s05e02") == ("rhobh", 5, 2)
    assert episode_of("The.Show.S01E112") == ("The.Show", 1, 112)
    assert episode_of("holiday") is None
