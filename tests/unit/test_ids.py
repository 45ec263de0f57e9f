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


def test_names_in_other_scripts_are_kept_apart() -> None:
    assert asset_id_from_name("été 2.mp4") == "ete-2"
    names = ["電影.mp4", "日本.mp4", "....mp4", "фильм.mkv"]
    assert len({asset_id_from_name(name) for name in names}) == len(names)


def test_an_attempt_id_counts_and_tells_new_york_time() -> None:
    summer = attempt_run_id(12, datetime(2026, 7, 1, 3, 0, 5, tzinfo=UTC))
    assert summer == "Attempt12_2026-06-30_230005_EST"
    assert (attempt_number(summer), attempt_number("other")) == (12, None)
    assert parse_run_id(summer) == summer
