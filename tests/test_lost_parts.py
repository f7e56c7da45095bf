"""Parts beside a run that are damaged, gone or of another run: told, and the advice of the message works."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from support.scripted_runs import everything, run, scripted_content, write_corpus, write_experiment

from nlareport.batches import ActivationBatch
from nlareport.cli import cli
from nlareport.errors import ActivationsDamaged
from nlareport.files.scratch_folders import HOST
from nlareport.rows.run_rows import PairId
from nlareport.store.vectors.activations import ActivationStore
from nlareport.store.vectors.parquet_parts import part_paths

KINDS = ["documents", "small", "reconstructions/large--small"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run: experiment.yaml, run.duckdb and its vectors. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("finished")
    write_corpus(folder, 20)
    run(write_experiment(folder, scripted_content(12)), folder / "run.duckdb")
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def part_of(folder: Path, kind: str) -> Path:
    return part_paths(folder / "run.activations" / kind)[0]


def flip(path: Path) -> None:
    """One bit in the middle of what a part stores."""
    content = bytearray(path.read_bytes())
    content[200] ^= 16
    path.write_bytes(content)


def check(folder: Path) -> Result:
    return CliRunner().invoke(cli, ["check", str(folder / "run.duckdb")])


def texts(folder: Path) -> list[tuple[str, str]]:
    store = ActivationStore(folder / "run.duckdb")
    return [(document.doc_id, document.text) for document in store.read_documents()]


def test_check_says_that_every_part_is_as_written(finished: Path) -> None:
    result = check(finished)
    assert (result.exit_code, result.stderr) == (0, "")
    n_parts = len(list((finished / "run.activations").rglob("*.parquet")))
    assert result.stdout.splitlines()[-1] == (
        f"Vectors and texts of the run: {n_parts} files are byte for byte what was written."
    )


def test_check_lists_every_damaged_part(folder: Path) -> None:
    spoilt = [part_of(folder, kind) for kind in KINDS]
    for path in spoilt:
        flip(path)
    result = check(folder)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == len(KINDS)
    for path in spoilt:
        assert any(re.search(rf"{path}: is not what was written \(row group 1 of 1, column", line) for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_part_stops_the_run_and_deleting_it_mends_it(kind: str, finished: Path, folder: Path) -> None:
    experiment, db = folder / "experiment.yaml", folder / "run.duckdb"
    flip(part_of(folder, kind))
    with pytest.raises(ActivationsDamaged, match="delete this file and run again") as told:
        run(experiment, db)
    Path(str(told.value).partition(": is not")[0]).unlink()
    assert not run(experiment, db).endswith("nothing was missing")
    assert run(experiment, db).endswith("nothing was missing")
    assert everything(db) == everything(finished / "run.duckdb")
    assert set(texts(folder)) <= set(texts(finished))
    assert check(folder).exit_code == 0


def _remove_a_part(folder: Path) -> None:
    part_of(folder, "large").unlink()


def _remove_a_cell(folder: Path) -> None:
    shutil.rmtree(folder / "run.activations/reconstructions/small--large")


def _remove_all_texts(folder: Path) -> None:
    shutil.rmtree(folder / "run.activations/documents")


def _remove_all_but_texts(folder: Path) -> None:
    for kind in ("small", "large", "reconstructions"):
        shutil.rmtree(folder / "run.activations" / kind)


@pytest.mark.parametrize("remove", [_remove_a_part, _remove_a_cell, _remove_all_texts, _remove_all_but_texts])
def test_what_is_gone_beside_a_finished_run_is_computed_anew(
    remove: Callable[[Path], None], finished: Path, folder: Path
) -> None:
    remove(folder)
    told = check(folder)
    assert told.exit_code == 1
    assert "are not there; run the experiment again: only they are recomputed." in told.stderr
    assert not run(folder / "experiment.yaml", folder / "run.duckdb").endswith("nothing was missing")
    assert everything(folder / "run.duckdb") == everything(finished / "run.duckdb")
    assert check(folder).exit_code == 0


def test_parts_of_items_the_run_does_not_have_are_told(finished: Path, folder: Path) -> None:
    store = ActivationStore(folder / "run.duckdb")
    store.write_reconstructions(
        PairId("large"), ActivationBatch(PairId("small"), np.array([700]), np.ones((1, 16), dtype=np.float32))
    )
    told = check(folder)
    assert told.exit_code == 1
    (line,) = told.stderr.splitlines()
    assert re.search(r"part-00000700.parquet: holds vectors of 1 items that the run does not have, 700 is", line)
    assert run(folder / "experiment.yaml", folder / "run.duckdb").endswith("nothing was missing")
    part_paths(folder / "run.activations/reconstructions/large--small")[-1].unlink()
    assert check(folder).exit_code == 0


def test_what_a_killed_process_left_is_cleared_by_the_next(finished: Path, folder: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    for place in (folder, folder / "run.activations/small", folder / "run.activations/reconstructions/large--small"):
        (place / f".part-00000000.parquet.nlareport-{HOST}-{dead.pid}-00000000/new").mkdir(parents=True)
    part_of(folder, "large").unlink()
    run(folder / "experiment.yaml", folder / "run.duckdb")
    assert sorted(path.relative_to(folder) for path in folder.rglob("*")) == sorted(
        path.relative_to(finished) for path in finished.rglob("*")
    )


def test_parts_of_an_earlier_version_are_used_and_said_to_be_unchecked(finished: Path, folder: Path) -> None:
    for path in (folder / "run.activations/small").glob("*.parquet"):
        pl.read_parquet(path).write_parquet(path)
    result = check(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert " 2 have no checksums, so they cannot be checked" in result.stdout
    assert run(folder / "experiment.yaml", folder / "run.duckdb").endswith("nothing was missing")
