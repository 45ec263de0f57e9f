"""An error of the operating system becomes one error, whoever reports it."""

import errno
import os

import pytest

from filmgate.core.errors import DiskFull, Exhausted, Invalid, NotPermitted, Unavailable
from filmgate.core.os_errors import error_from_os, permission_error
from filmgate.engine.failures import make_stage_error


def os_error(code: int, path: str | None = "/data/film.mp4") -> OSError:
    return OSError(code, os.strerror(code), path) if path else OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EACCES, NotPermitted),
        (errno.EROFS, NotPermitted),
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EMFILE, Exhausted),
        (errno.ENOENT, Invalid),
        (errno.EIO, Unavailable),
        (errno.ECONNRESET, Unavailable),
    ],
)
def test_the_family_of_an_error_follows_from_its_code(code: int, kind: type) -> None:
    assert type(error_from_os(os_error(code))) is kind
    assert type(error_from_os(os_error(code, path=None))) is kind


def test_a_refused_access_is_reported_without_a_guess_whether_it_was_a_read_or_a_write() -> None:
    error = error_from_os(os_error(errno.EACCES))
    assert (error.message, error.got) == ("permission denied: /data/film.mp4", "Permission denied")


def test_the_hint_for_a_full_disk_ends_with_how_to_retry() -> None:
    error = error_from_os(os_error(errno.ENOSPC), retry="submit the run again")
    assert error.hint == "Free disk space, then submit the run again"


def test_a_full_disk_and_a_refused_access_have_their_own_codes_in_the_record_of_a_stage() -> None:
    codes = [
        make_stage_error(os_error(code)).code for code in (errno.ENOSPC, errno.EACCES, errno.EIO)
    ]
    assert codes == ["disk_full", "not_permitted", "unexpected"]


def test_a_refused_access_has_the_same_form_in_a_bucket_and_in_a_folder() -> None:
    folder = error_from_os(os_error(errno.EACCES, "/data"))
    bucket = permission_error("s3://data", got="status code: 403")
    assert [error.message for error in (folder, bucket)] == [
        "permission denied: /data",
        "permission denied: s3://data",
    ]
    assert {(error.code, error.exit_code) for error in (folder, bucket)} == {("not_permitted", 8)}
