"""`.pt` files can be read back, also by torch; malicious files are refused."""

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
from filmgate.tools.byte_ranges import FileByteRanges
from filmgate.tools.torch_files.pickling import (
    STORAGES,
    Storage,
    TensorPlace,
    dump_pickle,
    load_pickle,
)
from filmgate.tools.torch_files.reading import PtFile, Tensor
from filmgate.tools.torch_files.writing import write_pt

TORCH = Path(__file__).parents[2] / ".torch" / "bin" / "python"
"""Python of an environment with torch, which `make torch` creates; only some tests need it."""

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


def write(value: Any, path: Path, *, compress: bool = False) -> str:
    with path.open("wb") as file:
        return write_pt(file, value, compress=compress)


def read(path: Path) -> PtFile:
    return PtFile(FileByteRanges(path))


@given(value=st.dictionaries(st.text("abcd"), plain | arrays, max_size=4), compress=st.booleans())
def test_a_written_value_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any], compress: bool
) -> None:
    path = tmp_path_factory.mktemp("pt") / "x.pt"
    digest = write(value, path, compress=compress)
    file = read(path)
    assert file.digest == digest
    assert file.value.keys() == value.keys()
    for name, expected in value.items():
        got = file.value[name]
        if isinstance(expected, np.ndarray):
            assert isinstance(got, Tensor)
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype.name)
            np.testing.assert_array_equal(got.read(), expected)
        else:
            assert got == expected


def test_equal_values_make_equal_bytes_and_the_digest_ignores_compression(
    tmp_path: Path,
) -> None:
    value = {"t": np.arange(30_000, dtype=np.uint8).reshape(5, 3, 20, 100), "n": 1}
    digests = {write(value, tmp_path / f"{n}.pt", compress=n == 2) for n in range(3)}
    assert len(digests) == 1
    first, second, compressed = ((tmp_path / f"{n}.pt").read_bytes() for n in range(3))
    assert first == second
    assert len(compressed) < len(first)


@pytest.mark.parametrize("compress", [False, True])
def test_rows_of_a_tensor_can_be_read_alone(tmp_path: Path, compress: bool) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (9, 3, 16, 24), dtype=np.uint8)
    write({"t": frames}, tmp_path / "x.pt", compress=compress)
    tensor = read(tmp_path / "x.pt").value["t"]
    for rows in (slice(0, 1), slice(2, 7), slice(1, 9, 3), slice(5, 5), slice(-2, None)):
        np.testing.assert_array_equal(tensor.read(rows), frames[rows])


def test_a_changed_byte_is_detected_only_when_its_row_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    frames = np.random.default_rng(1).integers(0, 255, (4, 3, 16, 24), dtype=np.uint8)
    write({"t": frames, "u": frames}, path)
    data = bytearray(path.read_bytes())
    data[data.find(frames[2].tobytes()) + 5] ^= 1
    path.write_bytes(data)
    value = read(path).value
    np.testing.assert_array_equal(value["u"].read(), frames)
    np.testing.assert_array_equal(value["t"].read(slice(0, 2)), frames[:2])
    with pytest.raises(Invalid, match="does not match") as refused:
        value["t"].read()
    assert refused.value.extra["reason"] == "pt_altered"


@given(data=st.data())
def test_a_changed_or_truncated_file_reads_equal_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("pt") / "x.pt"
    frames = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    value = {"t": frames, "name": "a session", "list": [1, 2.5, None]}
    write(value, path)
    damaged = bytearray(path.read_bytes())
    offset = data.draw(st.integers(0, len(damaged) - 1))
    if data.draw(st.booleans()):
        damaged[offset] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[offset:]
    path.write_bytes(damaged)
    try:
        file = read(path)
        got = {**file.value, "t": file.value["t"].read()}
    except Invalid:
        return
    np.testing.assert_array_equal(got.pop("t"), frames)
    assert got == {"name": "a session", "list": [1, 2.5, None]}


class CallOnUnpickle:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


@pytest.mark.parametrize(
    ("malicious", "name"),
    [
        (CallOnUnpickle(print, "x"), "print"),
        (CallOnUnpickle(subprocess.run, ["true"]), "run"),
        (CallOnUnpickle(io.open, "/etc/passwd"), "open"),
        ({"a": np.float64(1.0)}, "numpy"),
    ],
)
def test_a_pickle_that_calls_a_function_is_refused_with_its_name(malicious: Any, name: str) -> None:
    for protocol in range(2, 6):
        with pytest.raises(Invalid, match=name) as refused:
            load_pickle(pickle.dumps(malicious, protocol))
        assert refused.value.extra["reason"] == "pickle_refused"


def test_a_pickle_that_repeats_a_nested_list_exponentially_is_refused() -> None:
    inner: list[Any] = [0]
    for _ in range(40):
        inner = [inner, inner]
    with pytest.raises(Invalid, match=r"too many|too deeply"):
        load_pickle(pickle.dumps({"a": inner}, 2))
    recursive: list[Any] = []
    recursive.append(recursive)
    with pytest.raises(Invalid, match="too deeply"):
        load_pickle(pickle.dumps(recursive, 2))


@given(st.binary(max_size=60))
def test_random_bytes_are_unpickled_or_refused(data: bytes) -> None:
    with suppress(Invalid):
        load_pickle(b"\x80\x02" + data + b".")


def test_a_pickle_that_changes_a_storage_after_its_check_is_refused(tmp_path: Path) -> None:
    value = dump_pickle({"t": np.zeros(4)}, lambda _: place(1 << 33, (1 << 33,)))
    assert value.endswith(b"u.")
    changed = value[:-1] + b"0" + value[2:-2] + b"q\x05}X\x06\x00\x00\x00lengthJ\x10\x00\x00\x00sb."
    short = write_archive(tmp_path / "x.pt", changed, s0=bytes(16))
    with pytest.raises(Invalid):
        read(short).value["t"].read()


@pytest.mark.parametrize("data", [b"r\xff\xff\xff\x7f", b"p2000000000\n"])
def test_a_memo_index_that_would_allocate_gigabytes_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid, match="memo"):
        load_pickle(b"\x80\x02N" + data + b".")


def write_archive(path: Path, data: bytes, **storages: bytes) -> Path:
    """Write a `.pt` file with this pickle; `s0` is the content of storage 0."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in storages.items():
            archive.writestr(f"archive/data/{name.removeprefix('s')}", content)
    return path


def test_a_tensor_that_extends_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    value = dump_pickle({"t": np.zeros(4)}, lambda _: place(8, (4,)))
    with pytest.raises(Invalid, match="beyond its storage"):
        load_pickle(dump_pickle({"t": np.zeros(4)}, lambda _: place(2, (4,))))
    short = write_archive(tmp_path / "x.pt", value, s0=b"1234")
    with pytest.raises(Invalid, match=r"size of its tensor|shorter"):
        read(short).value["t"].read()


def place(count: int, shape: tuple[int, ...]) -> TensorPlace:
    return TensorPlace(Storage(key="0", dtype="uint8", length=count), 0, shape, (1,))


def test_a_file_that_is_not_a_zip_is_not_a_pt_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    for data in (b"", b"hello", b"PK\x05\x06" + bytes(18), struct.pack("<I", 0x04034B50) * 9):
        path.write_bytes(data)
        with pytest.raises(Invalid) as refused:
            read(path)
        assert refused.value.extra["reason"] == "pt_unreadable"


CHECK_WITH_TORCH = """
import sys, torch, numpy as np
written_here, written_by_torch = sys.argv[1:]
for mapped in (False,) if written_here.endswith("compressed.pt") else (False, True):
    got = torch.load(written_here, weights_only=True, mmap=mapped)
    assert got["frames"].dtype == torch.uint8 and tuple(got["frames"].shape) == (3, 3, 4, 6)
    assert got["frames"].flatten().tolist() == list(range(216))
    assert got["empty"].numel() == 0 and got["one"].item() == 2**40
    assert [got["kinds"][n].dtype for n in sorted(got["kinds"])] == [
        torch.bool, torch.float16, torch.float32, torch.float64, torch.int16, torch.int32,
        torch.int64, torch.int8, torch.uint8]
    assert got["plain"] == {"a": [1, -5, 2**70, 1.5, None, True, "\\u00fc"], "b": {}}
t = torch.arange(24, dtype=torch.int32).reshape(4, 6)
value = {"t": t, "transposed": t.t(), "part": t[1:3, 2:5], "plain": {"a": [1, "x", None]}}
torch.save(value, written_by_torch)
"""


@pytest.mark.proof
@pytest.mark.skipif(not TORCH.exists(), reason="torch is not installed: make torch")
@pytest.mark.parametrize("compress", [False, True])
def test_torch_reads_files_written_here_and_torchs_files_are_read_here(
    tmp_path: Path, compress: bool
) -> None:
    written_here = tmp_path / ("compressed.pt" if compress else "stored.pt")
    written_by_torch = tmp_path / "torch.pt"
    value = {
        "frames": np.arange(216, dtype=np.uint8).reshape(3, 3, 4, 6),
        "empty": np.zeros((0, 2), np.float32),
        "one": np.array(2**40),
        "kinds": {name: np.ones(3, name) for name in STORAGES},
        "plain": {"a": [1, -5, 2**70, 1.5, None, True, "ü"], "b": {}},
    }
    write(value, written_here, compress=compress)
    subprocess.run([TORCH, "-c", CHECK_WITH_TORCH, written_here, written_by_torch], check=True)
    file = read(written_by_torch)
    assert file.digest is None
    numbers = np.arange(24, dtype=np.int32).reshape(4, 6)
    np.testing.assert_array_equal(file.value["t"].read(), numbers)
    np.testing.assert_array_equal(file.value["transposed"].read(), numbers.T)
    np.testing.assert_array_equal(file.value["part"].read(), numbers[1:3, 2:5])
    assert file.value["plain"] == {"a": [1, "x", None]}
