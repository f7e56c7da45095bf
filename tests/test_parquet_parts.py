"""Parts say of every damage where it is; what carries no checksums is read as it is."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_runs import GEMMA, QWEN, a_pair

from nlareport.batches import ActivationBatch
from nlareport.errors import ActivationsDamaged, ActivationsUnreadable
from nlareport.store.vectors.activations import ActivationOrigin, ActivationStore
from nlareport.store.vectors.parquet_parts import (
    part_notes,
    part_paths,
    read_part,
    read_whole_part,
    refuse_damaged,
    write_part,
)
from nlareport.store.vectors.sealed_parquet import ROWS_A_GROUP
from nlareport.store.vectors.vector_folder import VectorParts

N_ROWS = 2 * ROWS_A_GROUP + 10
TYPES = {"item_id": pl.Int64, "vector": pl.Array, "text": pl.String}


def a_frame(n_rows: int) -> pl.DataFrame:
    vectors = np.random.default_rng(3).normal(size=(n_rows, 4)).astype(np.float32)
    return pl.DataFrame(
        [
            pl.Series("item_id", np.arange(n_rows), dtype=pl.Int64),
            pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, 4)),
            pl.Series("text", [f"text {k} é\n" for k in range(n_rows)]),
        ]
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of three row groups. Read it only."""
    path = tmp_path_factory.mktemp("parts") / "part-00000000.parquet"
    write_part(path, a_frame(N_ROWS), {"made_by": "a test", "seed": "3"})
    return path


@pytest.fixture
def part(written: Path, tmp_path: Path) -> Path:
    """A copy of it to be spoilt."""
    return Path(shutil.copy(written, tmp_path))


def test_a_part_comes_back_with_its_notes_and_is_plain_parquet_to_others(written: Path) -> None:
    assert read_whole_part(written).equals(a_frame(N_ROWS))
    assert read_part(written, TYPES).equals(a_frame(N_ROWS))
    assert part_notes(written) == {"made_by": "a test", "seed": "3"}
    assert refuse_damaged(written)
    assert pl.read_parquet(written).equals(a_frame(N_ROWS))
    assert pq.ParquetFile(written).num_row_groups == 3
    assert pq.read_schema(written).field("text").type == pa.string()


def test_the_same_rows_and_notes_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_part(tmp_path / name, a_frame(9), {"z": "1", "a": "2"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_told(
    place: float, bit: int, written: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(written.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    spoilt = tmp_path_factory.mktemp("spoilt") / "part.parquet"
    spoilt.write_bytes(content)
    with pytest.raises(ActivationsDamaged, match=r"part\.parquet: is not what was written \(.*delete this file"):
        refuse_damaged(spoilt)


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True))
def test_every_cut_is_told(place: float, written: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    content = written.read_bytes()
    spoilt = tmp_path_factory.mktemp("cut") / "part.parquet"
    spoilt.write_bytes(content[: int(place * len(content))])
    for read in (refuse_damaged, part_notes, read_whole_part):
        with pytest.raises(ActivationsDamaged, match=r"part\.parquet: .*delete this file"):
            read(spoilt)


def _flip_a_vector(part: Path, row_group: int) -> bytes:
    """One bit of the vectors of a row group; the file's bytes afterwards."""
    chunk = pq.read_metadata(part).row_group(row_group).column(1)
    content = bytearray(part.read_bytes())
    content[chunk.dictionary_page_offset + chunk.total_compressed_size // 2] ^= 4
    part.write_bytes(content)
    return bytes(content)


def test_row_group_and_column_of_a_flipped_bit_are_named(part: Path) -> None:
    _flip_a_vector(part, row_group=1)
    with pytest.raises(ActivationsDamaged, match="row group 2 of 3, column vector: its checksum differs"):
        read_part(part, TYPES)
    # Whoever asks for other columns gets them: they are as they were written.
    assert read_part(part, {"item_id": pl.Int64}).height == N_ROWS
    assert part_notes(part) == {"made_by": "a test", "seed": "3"}


@pytest.mark.parametrize("shift", [1, 500])
def test_bytes_that_were_never_written_are_told(shift: int, part: Path) -> None:
    content = part.read_bytes()
    part.write_bytes(content[:-shift] + content[-len(content) // 2 :])
    with pytest.raises(ActivationsDamaged, match="bytes more than were written"):
        refuse_damaged(part)


def test_a_part_whose_rows_another_tool_changed_is_told(part: Path) -> None:
    table = pq.read_table(part)
    pq.write_table(table.slice(1), part, store_schema=True)
    # Whatever that tool kept of the metadata, it cannot pass for what was written.
    assert part_notes(part) == {}
    assert not refuse_damaged(part)


def _without_checksums(path: Path, frame: pl.DataFrame) -> Path:
    pq.write_table(frame.to_arrow(), path, compression="zstd")
    return path


def test_parts_without_checksums_are_read_as_they_are(tmp_path: Path) -> None:
    older = _without_checksums(tmp_path / "part.parquet", a_frame(20))
    assert read_part(older, TYPES).equals(a_frame(20))
    assert part_notes(older) == {}
    assert not refuse_damaged(older)


def _flipped(content: bytes, seed: int) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    for _ in range(400):
        spoilt = bytearray(content)
        spoilt[random.integers(len(content))] ^= 1 << random.integers(8)
        yield bytes(spoilt)


def test_a_damaged_part_without_checksums_gives_rows_or_one_sentence(tmp_path: Path) -> None:
    older = _without_checksums(tmp_path / "part.parquet", a_frame(20))
    told = []
    for spoilt in _flipped(older.read_bytes(), seed=1):
        older.write_bytes(spoilt)
        try:
            VectorParts(tmp_path, "vector").read(QWEN)
            VectorParts(tmp_path, "vector").item_ids()
            read_whole_part(older)
        except ActivationsDamaged as error:
            told.append(str(error))
    assert len(told) > 50
    assert all("\n" not in line and "delete this file and run again" in line for line in told)


def test_what_the_machine_keeps_from_us_is_not_called_damaged(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ActivationsUnreadable, match=r"could not be read \(Permission denied\); nothing says"):
        read_whole_part(part)


@pytest.mark.parametrize("name", ["run[1].duckdb", "run?.duckdb", "a*b.duckdb", "50%20#x.duckdb", "~run {a,b}.duckdb"])
def test_vectors_stand_beside_a_run_file_of_any_name(name: str, tmp_path: Path) -> None:
    store = ActivationStore(tmp_path / name)
    batch = ActivationBatch(QWEN, np.array([1, 2]), np.eye(2, 3, dtype=np.float32))
    store.write_activations(a_pair(QWEN), batch, [ActivationOrigin("c:en:1", 2, "text")] * 2)
    store.write_reconstructions(GEMMA, batch)
    fresh = ActivationStore(tmp_path / name)
    assert fresh.read_activations(QWEN).vectors.tolist() == batch.vectors.tolist()
    assert fresh.reconstructed_item_ids(GEMMA, QWEN) == {1, 2}


@pytest.mark.parametrize("damage", [None, b"", b"\xff\xfe", b"[1, 2", b"- a list", b"!!python/name:os.system x"])
def test_a_missing_or_damaged_sidecar_loses_no_vector_and_is_mended(damage: bytes | None, tmp_path: Path) -> None:
    store = ActivationStore(tmp_path / "run.duckdb")
    batch = ActivationBatch(QWEN, np.arange(6), np.eye(6, 3, dtype=np.float32))
    origins = [ActivationOrigin("c:en:1", 2, "text")] * 6
    store.write_activations(a_pair(QWEN), batch, origins, {"made_by": "first"})
    (sidecar,) = (store.folder / QWEN).glob("*.yaml")
    whole = sidecar.read_text()
    sidecar.unlink() if damage is None else sidecar.write_bytes(damage)
    fresh = ActivationStore(tmp_path / "run.duckdb")
    assert len(fresh.read_activations(QWEN).item_ids) == 6
    # Another part takes the last two items: the first is rewritten, and its sidecar with it.
    taken = ActivationBatch(QWEN, batch.item_ids[4:], batch.vectors[4:] + 1)
    fresh.write_activations(a_pair(QWEN), taken, origins[4:], {"made_by": "second"})
    assert sidecar.read_text() == whole.replace("row_count: 6", "row_count: 4").replace("per_doc: 6", "per_doc: 4")
    assert [part_notes(path) for path in part_paths(store.folder / QWEN)] == [
        {"made_by": "first"},
        {"made_by": "second"},
    ]
    assert ActivationStore(tmp_path / "run.duckdb").read_activations(QWEN).vectors[3:].tolist() == [
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
    ]


def test_a_part_that_must_give_up_items_is_compared_before(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    VectorParts(folder, "vector").write(a_frame(10))
    part = folder / "part-00000000.parquet"
    content = _flip_a_vector(part, row_group=0)
    with pytest.raises(ActivationsDamaged, match="column vector: its checksum differs"):
        VectorParts(folder, "vector").write(a_frame(12).slice(8))
    assert part.read_bytes() == content


def test_a_file_of_another_tool_gives_up_items_too(tmp_path: Path) -> None:
    table = pa.table({"vector": pa.array([[1.0, 2.0, 3.0, 4.0]] * 5, pa.list_(pa.float64(), 4))})
    pq.write_table(table, tmp_path / "base.parquet")
    parts = VectorParts(tmp_path, "vector")
    assert parts.read(QWEN).vectors.dtype == np.float32
    parts.write(a_frame(5).slice(3))
    assert parts.read(QWEN).item_ids.tolist() == [0, 1, 2, 3, 4]


def test_numbers_that_are_no_vectors_are_told(tmp_path: Path) -> None:
    table = pa.table({"vector": pa.array([["a", "b"]], pa.list_(pa.string(), 2)), "item_id": [0]})
    pq.write_table(table, tmp_path / "part-00000000.parquet")
    with pytest.raises(ActivationsDamaged, match="holds vectors of"):
        VectorParts(tmp_path, "vector").read(QWEN)
