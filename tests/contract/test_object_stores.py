"""The contract of object stores, tested with a folder, memory, a bucket, and a slow bucket."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from filmgate.core.digest import sha256_hex
from filmgate.core.errors import (
    Invalid,
    NotFound,
    NotPermitted,
    StoreNotFound,
    Unavailable,
    UsageError,
)
from filmgate.core.objects import ObjectStore
from filmgate.store.addresses import S3Options, normalize_address, open_store
from filmgate.sync.publish import require_create_only
from filmgate.testing import MemoryObjectStore
from support.faulty import Fault, FaultyStore
from support.s3 import new_bucket

OVER_FIVE_MEBIBYTES = (5 << 20) + 17
"""Size in bytes just over 5 MiB, the minimum size of a part in S3."""


@pytest.fixture(params=["folder", "memory", "bucket", "slow bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(str(tmp_path / "store"), S3Options(), make=True)
    if request.param == "memory":
        return MemoryObjectStore()
    bucket: ObjectStore = request.getfixturevalue("bucket")
    return FaultyStore(bucket, delay_s=0.002) if request.param == "slow bucket" else bucket


def read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def keys(store: ObjectStore, prefix: str, after: str | None = None) -> list[str]:
    return [entry.key for page in store.pages(prefix, after) for entry in page]


@pytest.mark.parametrize("key", ["a", "runs/film/r1/x.json", "runs/Ü b/%41+c", "runs/a.b/~/{x}"])
def test_a_created_object_can_be_read(store: ObjectStore, key: str) -> None:
    assert store.create(key, b"bytes")
    assert read(store, key) == b"bytes"


def test_create_never_replaces_an_object(store: ObjectStore) -> None:
    assert [store.create("x", data) for data in (b"1", b"2", b"1")] == [True, False, False]
    assert read(store, "x") == b"1"


def test_of_concurrent_creators_of_an_object_one_succeeds(store: ObjectStore) -> None:
    created: list[bytes] = []

    def create(data: bytes) -> None:
        if store.create("x", data):
            created.append(data)

    threads = [threading.Thread(target=create, args=(b"%d" % n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert created == [read(store, "x")]


def test_a_large_file_is_stored_and_read_back_complete(store: ObjectStore, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * (OVER_FIVE_MEBIBYTES // 256 + 1))
    assert [store.create("x", file), store.create("x", file)] == [True, False]
    assert read(store, "x") == file.read_bytes()


def test_a_large_file_with_a_wrong_digest_creates_no_object(
    store: ObjectStore, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(3 * OVER_FIVE_MEBIBYTES))
    with pytest.raises(Invalid, match="changed during the upload"):
        store.create("x", file, "a" * 64)
    assert store.entry("x") is None
    assert store.create("x", file, sha256_hex(file.read_bytes()))


def test_a_missing_object_is_reported(store: ObjectStore) -> None:
    assert store.entry("nothing") is None
    with pytest.raises(NotFound, match="object nothing does not exist"):
        store.open("nothing")
    assert keys(store, "runs") == []


def test_a_store_that_exists_passes_its_check_with_and_without_objects(store: ObjectStore) -> None:
    store.check()
    store.create("x", b"1")
    store.check()
    assert keys(store, "") == ["x"]


def test_a_listing_is_complete_and_sorted_and_can_start_after_a_key(store: ObjectStore) -> None:
    names = ["runs/b/2", "runs/b/10", "runs/a/z/y", "runs/a-/x", "runs/é", "other/x", "runsx/y"]
    for name in names:
        store.create(name, name.encode())
    wanted = sorted(name for name in names if name.startswith("runs/"))
    assert keys(store, "runs") == wanted
    for index, after in enumerate(wanted):
        assert keys(store, "runs", after) == wanted[index + 1 :]
    sizes = {entry.key: entry.size_bytes for page in store.pages("runs") for entry in page}
    assert sizes == {name: len(name.encode()) for name in wanted}


def test_an_entry_has_the_same_size_and_mark_as_in_the_listing(store: ObjectStore) -> None:
    store.create("runs/x", b"12345")
    entry = store.entry("runs/x")
    assert entry is not None
    assert entry.size_bytes == 5
    assert [[entry]] == list(store.pages("runs"))


def test_a_listing_of_the_whole_store_has_every_key(store: ObjectStore) -> None:
    for name in ["b/x", "a", "b/a/y"]:
        store.create(name, b"1")
    assert keys(store, "") == ["a", "b/a/y", "b/x"]


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [(0, 4, b"0123"), (3, 4, b"3456"), (8, 9, b"89"), (10, 1, b""), (99, 5, b""), (2, 0, b"")],
)
def test_a_byte_range_of_an_object_is_read(
    store: ObjectStore, start: int, size: int, expected: bytes
) -> None:
    store.create("x", b"0123456789")
    assert store.read("x", start, size) == expected


def test_a_byte_range_of_a_missing_object_is_not_found(store: ObjectStore) -> None:
    with pytest.raises(NotFound):
        store.read("nothing", 0, 5)


def test_an_object_is_replaced_completely_by_bytes_or_a_file(
    store: ObjectStore, tmp_path: Path
) -> None:
    file = tmp_path / "large"
    file.write_bytes(bytes(range(256)) * (OVER_FIVE_MEBIBYTES // 256 + 1))
    for data in (b"1", b"22", file, b"3"):
        store.replace("a/x", data)
        assert read(store, "a/x") == (data if isinstance(data, bytes) else data.read_bytes())
    assert keys(store, "") == ["a/x"]


def test_an_object_is_removed_and_removing_it_again_does_nothing(store: ObjectStore) -> None:
    store.create("a/x", b"1")
    for _ in range(2):
        store.remove("a/x")
    assert keys(store, "") == []


def test_the_local_path_of_an_object_has_its_bytes_or_is_none(store: ObjectStore) -> None:
    store.create("x", b"1")
    assert store.path("nothing") is None
    path = store.path("x")
    assert path is None or path.read_bytes() == b"1"


def test_an_object_can_be_read_by_lines(store: ObjectStore) -> None:
    lines = [b"%d\n" % n for n in range(50_000)]
    store.create("x", b"".join(lines))
    with store.open("x") as file:
        assert list(file) == lines


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/x/../../y"])
def test_a_key_outside_the_store_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(Invalid):
        store.create(key, b"x")


@pytest.mark.parametrize("prefix", ["..", "../../", "a/../..", "/etc", "a/.."])
def test_a_prefix_outside_the_store_is_refused(store: ObjectStore, prefix: str) -> None:
    store.create("a/x", b"1")
    with pytest.raises(Invalid, match="outside the store"):
        keys(store, prefix)


def test_a_store_that_never_replaces_on_create_passes_the_check_repeatedly(
    store: ObjectStore,
) -> None:
    for _ in range(3):
        require_create_only(store)


def test_after_a_lost_reply_the_same_call_finds_its_object(store: ObjectStore) -> None:
    faulty = FaultyStore(store, lambda call: Fault.DROPS_REPLY if call == 1 else None)
    with pytest.raises(Unavailable):
        faulty.create("x", b"1")
    assert not faulty.create("x", b"1")
    assert read(faulty, "x") == b"1"


class UnconditionalStore(FaultyStore):
    """A store that ignores conditions of writes, as some do."""

    def create(self, key: str, data: bytes | Path, sha256: str | None = None) -> bool:
        super().create(key, data, sha256)
        return True


def test_a_store_that_ignores_conditions_is_refused_by_name(bucket: ObjectStore) -> None:
    with pytest.raises(Unavailable, match=bucket.url) as refused:
        require_create_only(UnconditionalStore(bucket))
    assert refused.value.extra["reason"] == "conditional_create_unsupported"


class FixedResponse(BaseHTTPRequestHandler):
    """A handler that answers every request with the same response."""

    status = 501
    body = b""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_PUT  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def store_that_answers(status: int, body: bytes) -> Iterator[ObjectStore]:
    handler = type("Handler", (FixedResponse,), {"status": status, "body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            yield open_store("s3://bucket", S3Options(endpoint=endpoint))
        finally:
            server.shutdown()
            thread.join()


def test_a_server_that_does_not_implement_conditions_is_refused(s3_endpoint: str) -> None:
    with (
        store_that_answers(501, b"<Error><Code>NotImplemented</Code></Error>") as store,
        pytest.raises(Unavailable) as refused,
    ):
        require_create_only(store)
    assert refused.value.extra["reason"] == "conditional_create_unsupported"


def test_refused_credentials_are_reported_by_every_call(s3_endpoint: str) -> None:
    calls: list[Callable[[ObjectStore], Any]] = [
        lambda store: store.create("x", b"1"),
        lambda store: store.open("x"),
        lambda store: list(store.pages("runs")),
        lambda store: store.check(),
    ]
    with store_that_answers(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>") as store:
        for call in calls:
            with pytest.raises(NotPermitted, match="permission denied: s3://bucket"):
                call(store)


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), S3Options(), make=True)
    store.create("runs/a/x", b"1")
    (tmp_path / "secret").write_bytes(b"2")
    (tmp_path / "store" / "runs" / "loop").symlink_to(tmp_path / "store" / "runs")
    (tmp_path / "store" / "runs" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "store" / "runs" / "odd\nname").write_bytes(b"3")
    (tmp_path / "store" / "runs" / "x#1").write_bytes(b"4")
    assert keys(store, "runs") == ["runs/a/x"]
    for call in (store.open, store.entry):
        with pytest.raises(Invalid, match="points outside the store"):
            call("runs/out")


def test_a_linked_folder_outside_the_store_is_not_listed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), S3Options(), make=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "secret.pt").write_bytes(b"1")
    (tmp_path / "store" / "away").symlink_to(tmp_path / "foreign")
    with pytest.raises(Invalid, match="points outside the store"):
        keys(store, "away")


def test_a_missing_folder_is_reported_and_not_treated_as_empty(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), S3Options(), make=True)
    (tmp_path / "store").rename(tmp_path / "away")
    calls: list[Callable[[], Any]] = [
        lambda: store.open("x"),
        lambda: store.entry("x"),
        lambda: list(store.pages("runs")),
        store.check,
    ]
    for call in calls:
        with pytest.raises(StoreNotFound, match=r"folder .* does not exist"):
            call()


def test_a_missing_bucket_is_reported(s3_endpoint: str) -> None:
    store = open_store("s3://no-such-bucket-here", S3Options(endpoint=s3_endpoint))
    calls: list[Callable[[], Any]] = [
        lambda: store.create("x", b"1"),
        lambda: store.open("x"),
        lambda: list(store.pages("runs")),
        store.check,
    ]
    for call in calls:
        with pytest.raises(StoreNotFound, match=r"the bucket of .* does not exist"):
            call()


def test_an_unreachable_server_is_reported() -> None:
    store = open_store("s3://bucket", S3Options(endpoint="http://127.0.0.1:9"))
    calls: list[Callable[[], Any]] = [lambda: store.create("x", b"1"), store.check]
    for call in calls:
        with pytest.raises(Unavailable, match="s3://bucket is not available"):
            call()


def test_credentials_of_a_profile_are_used(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    profile = f"[studio]\naws_access_key_id={key}\naws_secret_access_key={secret}\n"
    (tmp_path / "credentials").write_text(profile)
    name = new_bucket(s3_endpoint)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store(f"s3://{name}", S3Options(endpoint=s3_endpoint, profile="studio"))
    assert store.create("x", b"1")
    with pytest.raises(NotPermitted, match="credentials of profile 'unknown' cannot be read"):
        open_store(f"s3://{name}", S3Options(endpoint=s3_endpoint, profile="unknown"))


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a//b/", "s3://bucket/a/b"),
        ("/data/runs/", "file:///data/runs"),
        ("file:///data/a%20b", "file:///data/a%20b"),
    ],
)
def test_an_address_is_normalized(place: str, address: str) -> None:
    assert normalize_address(place) == address


@pytest.mark.parametrize("place", ["", "s3://", "gs://bucket/x", "s3://b/../c", "http://x/y"])
def test_an_invalid_address_is_refused(place: str) -> None:
    with pytest.raises((Invalid, UsageError), match="address of the store is invalid"):
        normalize_address(place)
