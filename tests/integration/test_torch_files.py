"""`.pt` files: what is written is read, here and by torch; what is hostile is refused by name."""

import io
import pickle
import struct
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from filmgate.core.errors import Invalid
from filmgate.tools.pieces import FilePieces
from filmgate.tools.torch_files.pickling import STORAGES, pickled, unpickled
from filmgate.tools.torch_files.reading import PtFile, Tensor
from filmgate.tools.torch_files.writing import write_pt

TORCH = Path(__file__).parents[2] / ".torch" / "bin" / "python"
"""An environment with torch, which `make torch` makes; nothing else here needs it."""

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=12,
)
arrays = npst.arrays(st.sampled_from(sorted(STORAGES)), npst.array_shapes(min_dims=0, max_dims=5))


def written(value: Any, path: Path, *, compress: bool = False) -> str:
    with path.open("wb") as file:
        return write_pt(file, value, compress=compress)


def read(path: Path) -> PtFile:
    return PtFile(FilePieces(path))


@given(value=st.dictionaries(st.text("abcd"), plain | arrays, max_size=4), compress=st.booleans())
def test_what_is_written_is_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any], compress: bool
) -> None:
    path = tmp_path_factory.mktemp("pt") / "x.pt"
    digest = written(value, path, compress=compress)
    file = read(path)
    assert file.digest == digest
    assert file.value.keys() == value.keys()
    for name, held in value.items():
        got = file.value[name]
        if isinstance(held, np.ndarray):
            assert isinstance(got, Tensor)
            assert (got.shape, got.dtype) == (held.shape, held.dtype.name)
            np.testing.assert_array_equal(got.read(), held)
        else:
            assert got == held


def test_the_same_value_makes_the_same_bytes_and_one_digest_compressed_or_not(
    tmp_path: Path,
) -> None:
    value = {"t": np.arange(30_000, dtype=np.uint8).reshape(5, 3, 20, 100), "n": 1}
    digests = {written(value, tmp_path / f"{n}.pt", compress=n == 2) for n in range(3)}
    assert len(digests) == 1
    first, again, small = ((tmp_path / f"{n}.pt").read_bytes() for n in range(3))
    assert first == again
    assert len(small) < len(first)


@pytest.mark.parametrize("compress", [False, True])
def test_rows_of_a_tensor_are_read_alone(tmp_path: Path, compress: bool) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (9, 3, 16, 24), dtype=np.uint8)
    written({"t": frames}, tmp_path / "x.pt", compress=compress)
    tensor = read(tmp_path / "x.pt").value["t"]
    for rows in (slice(0, 1), slice(2, 7), slice(1, 9, 3), slice(5, 5), slice(-2, None)):
        np.testing.assert_array_equal(tensor.read(rows), frames[rows])


def test_a_byte_that_is_not_what_was_sealed_is_told_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    frames = np.random.default_rng(1).integers(0, 255, (4, 3, 16, 24), dtype=np.uint8)
    written({"t": frames, "u": frames}, path)
    data = bytearray(path.read_bytes())
    data[data.find(frames[2].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    value = read(path).value
    np.testing.assert_array_equal(value["u"].read(), frames)
    np.testing.assert_array_equal(value["t"].read(slice(0, 2)), frames[:2])
    with pytest.raises(Invalid, match="not what it was") as refused:
        value["t"].read()
    assert refused.value.extra["reason"] == "pt_altered"


@given(data=st.data())
def test_a_file_with_any_byte_changed_or_cut_off_reads_the_same_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("pt") / "x.pt"
    frames = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    value = {"t": frames, "name": "a session", "list": [1, 2.5, None]}
    written(value, path)
    bad = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(bad) - 1))
    if data.draw(st.booleans()):
        bad[place] ^= data.draw(st.integers(1, 255))
    else:
        del bad[place:]
    path.write_bytes(bad)
    try:
        file = read(path)
        got = {**file.value, "t": file.value["t"].read()}
    except Invalid:
        return
    np.testing.assert_array_equal(got.pop("t"), frames)
    assert got == {"name": "a session", "list": [1, 2.5, None]}


class Evil:
    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self._made_by = (call, arguments)

    def __reduce__(self) -> Any:
        return self._made_by


@pytest.mark.parametrize(
    ("hostile", "name"),
    [
        (Evil(print, "x"), "print"),
        (Evil(subprocess.run, ["true"]), "run"),
        (Evil(io.open, "/etc/passwd"), "open"),
        ({"a": np.float64(1.0)}, "numpy"),
    ],
)
def test_a_pickle_that_wants_something_done_is_refused_by_name(hostile: Any, name: str) -> None:
    for protocol in range(2, 6):
        with pytest.raises(Invalid, match=name) as refused:
            unpickled(pickle.dumps(hostile, protocol))
        assert refused.value.extra["reason"] == "pickle_refused"


def test_a_pickle_that_says_one_list_a_billion_times_is_refused_soon() -> None:
    inner: list[Any] = [0]
    for _ in range(40):
        inner = [inner, inner]
    with pytest.raises(Invalid, match=r"too many|too deep"):
        unpickled(pickle.dumps({"a": inner}, 2))
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(Invalid, match="too deep"):
        unpickled(pickle.dumps(itself, 2))


@given(st.binary(max_size=60))
def test_no_bytes_make_the_unpickler_do_more_than_refuse(data: bytes) -> None:
    with suppress(Invalid):
        unpickled(b"\x80\x02" + data + b".")


def test_a_pickle_that_changes_a_storage_once_it_was_looked_at_is_refused(tmp_path: Path) -> None:
    value = pickled({"t": np.zeros(4)}, lambda _: _place(1 << 33, (1 << 33,)))
    assert value.endswith(b"u.")
    changed = value[:-1] + b"0" + value[2:-2] + b"q\x05}X\x06\x00\x00\x00lengthJ\x10\x00\x00\x00sb."
    short = archive_with(tmp_path / "x.pt", changed, s0=bytes(16))
    with pytest.raises(Invalid):
        read(short).value["t"].read()


@pytest.mark.parametrize("data", [b"r\xff\xff\xff\x7f", b"p2000000000\n"])
def test_a_place_in_a_memo_that_takes_a_gigabyte_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(Invalid, match="memo"):
        unpickled(b"\x80\x02N" + data + b".")


def archive_with(path: Path, data: bytes, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, held in members.items():
            archive.writestr(f"archive/data/{name.removeprefix('s')}", held)
    return path


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    value = pickled({"t": np.zeros(4)}, lambda _: _place(8, (4,)))
    with pytest.raises(Invalid, match="beyond its storage"):
        unpickled(pickled({"t": np.zeros(4)}, lambda _: _place(2, (4,))))
    short = archive_with(tmp_path / "x.pt", value, s0=b"1234")
    with pytest.raises(Invalid, match=r"not as long as its tensor|shorter"):
        read(short).value["t"].read()


def _place(count: int, shape: tuple[int, ...]) -> Any:
    from filmgate.tools.torch_files.pickling import Storage, TensorPlace

    return TensorPlace(Storage(key="0", dtype="uint8", length=count), 0, shape, (1,))


def test_what_is_no_zip_is_no_pt_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for data in (b"", b"hello", b"PK\x05\x06" + bytes(18), struct.pack("<I", 0x04034B50) * 9):
        path.write_bytes(data)
        with pytest.raises(Invalid) as refused:
            read(path)
        assert refused.value.extra["reason"] == "pt_unreadable"


BY_TORCH = """
import sys, torch, numpy as np
ours, theirs = sys.argv[1:]
for mapped in (False,) if ours.endswith("small.pt") else (False, True):
    got = torch.load(ours, weights_only=True, mmap=mapped)
    assert got["frames"].dtype == torch.uint8 and tuple(got["frames"].shape) == (3, 3, 4, 6)
    assert got["frames"].flatten().tolist() == list(range(216))
    assert got["empty"].numel() == 0 and got["one"].item() == 2**40
    assert [got["kinds"][n].dtype for n in sorted(got["kinds"])] == [
        torch.bool, torch.float16, torch.float32, torch.float64, torch.int16, torch.int32,
        torch.int64, torch.int8, torch.uint8]
    assert got["told"] == {"a": [1, -5, 2**70, 1.5, None, True, "\\u00fc"], "b": {}}
t = torch.arange(24, dtype=torch.int32).reshape(4, 6)
torch.save({"t": t, "turned": t.t(), "part": t[1:3, 2:5], "told": {"a": [1, "x", None]}}, theirs)
"""


@pytest.mark.proof
@pytest.mark.skipif(not TORCH.exists(), reason="torch is not here: make torch")
@pytest.mark.parametrize("compress", [False, True])
def test_torch_loads_what_is_written_here_and_its_files_are_read_here(
    tmp_path: Path, compress: bool
) -> None:
    ours, theirs = tmp_path / ("small.pt" if compress else "ours.pt"), tmp_path / "theirs.pt"
    value = {
        "frames": np.arange(216, dtype=np.uint8).reshape(3, 3, 4, 6),
        "empty": np.zeros((0, 2), np.float32),
        "one": np.array(2**40),
        "kinds": {name: np.ones(3, name) for name in STORAGES},
        "told": {"a": [1, -5, 2**70, 1.5, None, True, "ü"], "b": {}},
    }
    written(value, ours, compress=compress)
    subprocess.run([TORCH, "-c", BY_TORCH, ours, theirs], check=True)
    file = read(theirs)
    assert file.digest is None
    numbers = np.arange(24, dtype=np.int32).reshape(4, 6)
    np.testing.assert_array_equal(file.value["t"].read(), numbers)
    np.testing.assert_array_equal(file.value["turned"].read(), numbers.T)
    np.testing.assert_array_equal(file.value["part"].read(), numbers[1:3, 2:5])
    assert file.value["told"] == {"a": [1, "x", None]}
