"""Run files that hold numbers no measurement gives, and ones whose numbers were rounded on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from nlareport.cli import cli
from nlareport.review.sources import import_figures
from nlareport.store.bundle.bundle import export_bundle


def called(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)))


def rounded(value: Any, decimals: int) -> Any:
    if isinstance(value, float):
        return round(value, decimals)
    return value


def rounded_copy(run: Path, folder: Path, decimals: int) -> Path:
    """The run exported, its numbers rounded as a stranger's script rounds them, and imported again."""
    for path in export_bundle(run, folder / "bundle", "jsonl"):
        if path.stem in ("claims", "makings") or path.suffix == ".yaml":
            continue
        lines = []
        for line in path.read_text(encoding="utf-8").splitlines():
            row = {name: rounded(value, decimals) for name, value in json.loads(line).items()}
            lines.append(json.dumps(row))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    import_figures(folder / "bundle", folder / "again.duckdb")
    return folder / "again.duckdb"


@pytest.mark.parametrize("decimals", [3, 5])
def test_a_run_rounded_to_some_decimals_is_sound_and_a_value_moved_further_is_told(
    decimals: int, computed_run: Path, tmp_path: Path
) -> None:
    copy = rounded_copy(computed_run, tmp_path, decimals)
    found = called("check", copy)
    assert [line for line in found.stderr.splitlines() if "audit" in line] == []
    moved = 20 * 10**-decimals
    # Of a null the V that it was divided by may be rounded too, here to four decimals.
    with duckdb.connect(str(copy)) as connection:
        connection.execute(f"UPDATE cell SET fve_nrm = fve_nrm + {moved}, null_fve = null_fve - 0.05")
        connection.execute(f"UPDATE score SET fve_nrm = fve_nrm - {5 * moved} WHERE item_id < 3")
    told = called("check", copy).stderr
    for audit in ("cell_beside_its_scores", "null_beside_its_null_scores", "fve_nrm_beside_its_mse_nrm"):
        assert f"audit {audit}: " in told


IMPOSSIBLE = {
    "score.mse_nrm": "UPDATE score SET mse_nrm = 5 WHERE item_id = 1",
    "score.fve_nrm": "UPDATE score SET fve_nrm = 1e308 WHERE item_id = 1",
    "cell.fve_nrm": "UPDATE cell SET fve_nrm = 1e308, ci_low = -1e308, ci_high = 1e308",
    "cell.share_below_zero": "UPDATE cell SET share_below_zero = -3",
    "cell.n_unscored": "UPDATE cell SET n_unscored = -1",
    "pair.variance_nrm": "UPDATE pair SET variance_nrm = 'nan'",
    "pair.sidecar_variance_nrm": "UPDATE pair SET sidecar_variance_nrm = 0",
    "pair.mean_norm": "UPDATE pair SET mean_norm = 1.5",
    "pair.d_model": "UPDATE pair SET d_model = -8",
    "pair.block_index": "UPDATE pair SET block_index = -1",
    "pair.injection_scale": "UPDATE pair SET injection_scale = -150",
    "alignment.activation_norm": "UPDATE alignment SET activation_norm = -2",
    "alignment.token_index": "UPDATE alignment SET token_index = -7",
    "explanation.n_tokens": "UPDATE explanation SET n_tokens = -1",
    "item.char_end": "UPDATE item SET char_end = -1",
}


def test_impossible_numbers_of_a_strangers_run_are_told_and_break_no_page(computed_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run.duckdb"
    shutil.copyfile(computed_run, copy)
    with duckdb.connect(str(copy)) as connection:
        for statement in IMPOSSIBLE.values():
            connection.execute(statement)
        connection.execute("UPDATE score SET fve_nrm = -1e308, mse_nrm = NULL WHERE item_id = 2")
    asked = called("query", copy, "audits/number_out_of_range", "--format", "csv")
    assert asked.exit_code == 0, asked.output
    assert {line.partition(",")[0] for line in asked.stdout.splitlines()[1:]} >= IMPOSSIBLE.keys()
    found = called("check", copy)
    assert found.exit_code == 1
    assert "audit number_out_of_range: " in found.stderr
    assert isinstance(found.exception, SystemExit)
    shown = called("render", copy, "--out", tmp_path / "report")
    assert shown.exit_code == 0, shown.output
