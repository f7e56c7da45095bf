import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_runs import GEMMA, QWEN, a_pair

from nlareport.batches import ActivationBatch, SourceDocument
from nlareport.errors import ActivationsDamaged
from nlareport.rows.run_rows import PairId
from nlareport.store.vectors.activations import ActivationOrigin, ActivationStore


def a_batch(item_ids: Sequence[int], width: int = 3, pair_id: PairId = QWEN, add: float = 0.0) -> ActivationBatch:
    """Item k has the vector k, k + 0.25, k + 0.5 …"""
    ids = np.array(item_ids, dtype=np.int64)
    vectors = (ids[:, None] + np.arange(width) / 4 + add).astype(np.float32)
    return ActivationBatch(pair_id, ids, vectors)


def origins(item_ids: Sequence[int]) -> list[ActivationOrigin]:
    return [ActivationOrigin(f"Org/Corpus:en:{100 + k}", 51 + k, f"text up to {k}") for k in item_ids]


@pytest.fixture
def store(tmp_path: Path) -> ActivationStore:
    return ActivationStore(tmp_path / "pocket.duckdb")


def keep(store: ActivationStore, item_ids: Sequence[int], add: float = 0.0) -> None:
    store.write_activations(a_pair(QWEN), a_batch(item_ids, add=add), origins(item_ids))


def test_the_folder_stands_beside_the_run_file(store: ActivationStore, tmp_path: Path) -> None:
    assert store.folder == tmp_path / "pocket.activations"


def test_activations_come_back_in_order_of_item(store: ActivationStore) -> None:
    keep(store, [7, 5, 6])
    keep(store, [2, 3])
    batch = store.read_activations(QWEN)
    assert batch.pair_id == QWEN
    assert batch.item_ids.tolist() == [2, 3, 5, 6, 7]
    assert batch.vectors.dtype == np.float32
    np.testing.assert_array_equal(batch.vectors, a_batch([2, 3, 5, 6, 7]).vectors)
    assert store.stored_item_ids(QWEN) == {2, 3, 5, 6, 7}


def test_a_pair_without_activations_gives_no_rows(store: ActivationStore) -> None:
    batch = store.read_activations(GEMMA)
    assert len(batch.item_ids) == 0
    assert batch.vectors.shape == (0, 0)
    assert store.stored_item_ids(GEMMA) == frozenset()
    store.write_activations(a_pair(), a_batch([]), [])
    assert not store.folder.exists()


def test_parts_have_the_columns_and_types_of_the_public_stage_0(store: ActivationStore) -> None:
    keep(store, [4, 3])
    schema = pq.read_schema(store.folder / QWEN / "part-00000003.parquet")
    assert {field.name: field.type for field in schema} == {
        "n_raw_tokens": pa.int64(),
        "detokenized_text_truncated": pa.string(),
        "activation_vector": pa.list_(pa.float32(), 3),
        "activation_layer": pa.int64(),
        "doc_id": pa.string(),
        "item_id": pa.int64(),
    }
    frame = pl.read_parquet(store.folder / QWEN / "part-00000003.parquet").drop("activation_vector")
    assert frame.rows() == [
        (54, "text up to 3", 20, "Org/Corpus:en:103", 3),
        (55, "text up to 4", 20, "Org/Corpus:en:104", 4),
    ]


def test_every_part_has_the_public_sidecar(store: ActivationStore) -> None:
    keep(store, [3, 9])
    meta = yaml.safe_load((store.folder / QWEN / "part-00000003.parquet.nla_meta.yaml").read_text())
    assert meta["kind"] == "nla_dataset"
    assert (meta["schema_version"], meta["stage"], meta["row_count"]) == (1, "base", 2)
    assert meta["extraction"] == {
        "base_model": "Org/qwen7-L20",
        "d_model": 3,
        "layer_index": 20,
        "norm": "none",
        "corpus": "Org/Corpus",
        "corpus_slice": {"start": 103, "length": 7},
        "positions_per_doc": 1,
    }
    columns = pl.read_parquet(store.folder / QWEN / "part-00000003.parquet").columns
    assert set(meta["notes"]) == {"detokenized_text_truncated", "activation_vector"} <= set(columns)


def test_files_of_the_public_stage_0_number_their_rows(store: ActivationStore) -> None:
    folder = store.folder / QWEN
    folder.mkdir(parents=True)
    table = pa.table({"activation_vector": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32(), 2))})
    pq.write_table(table, folder / "base.parquet")
    batch = store.read_activations(QWEN)
    assert batch.item_ids.tolist() == [0, 1]
    assert batch.vectors.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True), max_size=5), reopen=st.booleans()
)
def test_an_item_is_there_once_with_the_vector_written_last(
    batches: list[list[int]], reopen: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run_path = tmp_path_factory.mktemp("store") / "run.duckdb"
    store = ActivationStore(run_path)
    expected: dict[int, float] = {}
    for number, item_ids in enumerate(batches):
        for part in (store.folder / QWEN).glob(f"part-{min(item_ids):08d}.parquet"):
            for lost in set(pl.read_parquet(part)["item_id"]):
                del expected[lost]  # a part of the same name is written anew as a whole
        keep(store, item_ids, add=100.0 * number)
        expected.update({k: k + 100.0 * number for k in item_ids})
        if reopen:
            store = ActivationStore(run_path)
    batch = store.read_activations(QWEN)
    assert dict(zip(batch.item_ids.tolist(), batch.vectors[:, :1].ravel().tolist(), strict=True)) == expected
    assert store.stored_item_ids(QWEN) == set(expected)
    for sidecar in (store.folder / QWEN).glob("*.nla_meta.yaml"):
        part = sidecar.with_name(sidecar.name.removesuffix(".nla_meta.yaml"))
        assert yaml.safe_load(sidecar.read_text())["row_count"] == len(pl.read_parquet(part))


def test_reconstructions_are_kept_by_cell(store: ActivationStore) -> None:
    store.write_reconstructions(QWEN, a_batch([1, 0], width=2, pair_id=GEMMA))
    store.write_reconstructions(QWEN, a_batch([], width=2, pair_id=GEMMA))
    batch = store.read_reconstructions(QWEN, GEMMA)
    assert (batch.pair_id, batch.item_ids.tolist()) == (GEMMA, [0, 1])
    np.testing.assert_array_equal(batch.vectors, a_batch([0, 1], width=2).vectors)
    assert store.reconstructed_item_ids(QWEN, GEMMA) == {0, 1}
    assert store.reconstructed_item_ids(GEMMA, QWEN) == frozenset()
    assert (store.folder / "reconstructions" / "qwen7-L20--gemma12-L32" / "part-00000000.parquet").exists()


def test_documents_come_back_in_corpus_order_each_once(store: ActivationStore) -> None:
    documents = [SourceDocument(f"c:en:{k}", "c", k, f"text {k}\n\u2028 “{k}”") for k in range(6)]
    store.write_documents(documents[3:])
    store.write_documents(documents[:4])
    store.write_documents([])
    assert store.read_documents() == documents
    assert ActivationStore(store.folder.parent / "other.duckdb").read_documents() == []


@pytest.mark.parametrize("kept_bytes", [0, 4, 100, -8])
def test_a_truncated_part_is_named_with_what_to_do(store: ActivationStore, kept_bytes: int) -> None:
    keep(store, list(range(50)))
    part = store.folder / QWEN / "part-00000000.parquet"
    part.write_bytes(part.read_bytes()[:kept_bytes])
    fresh = ActivationStore(store.folder.with_suffix(".duckdb"))
    message = r"part-00000000.parquet: (cannot be read|is not what was written) \(.*delete this file and run again"
    with pytest.raises(ActivationsDamaged, match=message):
        fresh.read_activations(QWEN)
    with pytest.raises(ActivationsDamaged, match=message):
        fresh.stored_item_ids(QWEN)


def test_a_part_with_other_columns_is_damaged(store: ActivationStore) -> None:
    keep(store, [1])
    part = store.folder / QWEN / "part-00000001.parquet"
    pl.DataFrame({"item_id": [1], "activation_vector": ["no"]}).write_parquet(part)
    with pytest.raises(ActivationsDamaged, match="holds column activation_vector as String, expected Array"):
        store.read_activations(QWEN)
    pl.DataFrame({"item_id": [1]}).write_parquet(part)
    with pytest.raises(ActivationsDamaged, match="cannot be read"):
        store.read_activations(QWEN)


def test_two_parts_with_one_item_are_damaged(store: ActivationStore) -> None:
    keep(store, [1, 2])
    part = store.folder / QWEN / "part-00000001.parquet"
    (part.parent / "part-00000002.parquet").write_bytes(part.read_bytes())
    with pytest.raises(ActivationsDamaged, match="item 1 stands in two parts"):
        store.read_activations(QWEN)


def test_parts_of_two_widths_are_damaged(store: ActivationStore) -> None:
    keep(store, [1])
    store.write_activations(a_pair(), a_batch([2], width=5), origins([2]))
    with pytest.raises(ActivationsDamaged, match="holds vectors of width 5, others 3"):
        store.read_activations(QWEN)


def test_a_process_killed_while_writing_a_part_leaves_the_old_one(store: ActivationStore) -> None:
    keep(store, [1, 2])
    program = (
        "import os, signal, sys; from pathlib import Path; from nlareport.files import atomic_files\n"
        "atomic_files.os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_files.write_whole(Path(sys.argv[1]), b'half')"
    )
    part = store.folder / QWEN / "part-00000001.parquet"
    assert subprocess.run([sys.executable, "-c", program, str(part)], check=False).returncode == -9
    assert ActivationStore(store.folder.with_suffix(".duckdb")).stored_item_ids(QWEN) == {1, 2}


def test_vectors_of_pairs_with_names_of_any_kind_stay_apart_and_in_their_folder(tmp_path: Path) -> None:
    store = ActivationStore(tmp_path / "deep" / "run.duckdb")
    pairs = ["..", "../../x", "documents", "reconstructions", "/etc", "a/b", "a--b", "a", "b--c", "c"]
    for width, pair_id in enumerate(pairs, start=2):
        pair = a_pair(pair_id, d_model=width)
        store.write_activations(pair, a_batch([1], width=width, pair_id=pair_id), origins([1]))
    again = ActivationStore(tmp_path / "deep" / "run.duckdb")
    for width, pair_id in enumerate(pairs, start=2):
        assert again.read_activations(pair_id).vectors.shape == (1, width)
    store.write_reconstructions("a", a_batch([1, 2], pair_id="b--c"))
    store.write_reconstructions("a--b", a_batch([3], pair_id="c"))
    assert store.reconstructed_item_ids("a", "b--c") == {1, 2}
    assert store.reconstructed_item_ids("a--b", "c") == {3}
    assert [entry.name for entry in tmp_path.iterdir()] == ["deep"]
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["run.activations"]
