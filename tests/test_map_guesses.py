"""A guessed map says what names tell, leaves the rest to be filled in, and works once that is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlareport.cli import cli
from nlareport.errors import MapInvalid
from nlareport.rows.item_rows import Explanation, Score, Tag
from nlareport.store.maps.guessing import guess_and_write, guess_map
from nlareport.store.maps.known_names import definition_by_name
from nlareport.store.maps.mapped_tables import read_mapped

ROWS = [
    {"doc_id": f"d{number // 2}", "position": number, "nla_cos": 0.9, "lang": "en" if number % 2 else "de", "x": 7}
    for number in range(4)
]
PAIR = {"pair_id": "a", "family": "f", "base_model": "m", "block_index": "1", "d_model": "8"}


def results(folder: Path, rows: object) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def filled_in(text: str) -> str:
    for key, value in PAIR.items():
        text = text.replace(f"{key}: FILL_IN", f"{key}: {value}")
    return text


def test_a_guessed_map_works_once_it_is_filled_in(tmp_path: Path) -> None:
    path = results(tmp_path, {"about": 1, "data": [{**row, "explanation": "Said."} for row in ROWS]})
    guess = guess_map(path)
    (tmp_path / "open.yaml").write_text(guess.text, encoding="utf-8")
    with pytest.raises(MapInvalid, match=r"pairs\.0\.pair_id, .*: still says FILL_IN; write what it is"):
        read_mapped(path, str(tmp_path / "open.yaml"))
    (tmp_path / "map.yaml").write_text(filled_in(guess.text), encoding="utf-8")
    rows = read_mapped(path, str(tmp_path / "map.yaml")).rows
    assert [(row.item_id, round(row.mse_nrm or 0, 9)) for row in rows.of(Score)] == [(k, 0.2) for k in range(4)]
    assert len(rows.of(Explanation)) == 4
    assert {(row.name, row.value) for row in rows.of(Tag)} == {("lang", "de"), ("lang", "en")}
    assert guess.understood == [
        "1 file(s), 4 rows at 'data'.",
        "Items: 4, told apart by 'doc_id', 'position'.",
        "Columns: document is 'doc_id', token_index is 'position', explanation is 'explanation'.",
        "Score 'nla_cos' is cosine by its name: 4 values, 0.9 to 0.9, mean 0.9.",
        "Tags, not sure: 'lang'.",
        "Not used: 'x'.",
    ]


@pytest.mark.parametrize("name", ["mse", "fve", "critic_mse", "score", "r2", "loss", "fve_by_k"])
def test_a_name_that_does_not_say_how_a_score_is_defined_is_left_open(name: str, tmp_path: Path) -> None:
    assert definition_by_name(name) is None
    guess = guess_map(results(tmp_path, [{"id": 1, name: 0.001}]))
    assert f"- {{column: {name}, definition: FILL_IN}}  # One of: mse_nrm, fve_nrm, cosine" in guess.text


def test_repeated_keys_may_be_draws_which_is_not_sure(tmp_path: Path) -> None:
    guess = guess_map(results(tmp_path, [{"id": 1, "cos": 0.9}, {"id": 1, "cos": 0.8}]))
    assert "draw: in_order  # Not sure: rows repeat an item" in guess.text


def test_a_guess_replaces_no_other_file(tmp_path: Path) -> None:
    path, place = results(tmp_path, ROWS), tmp_path / "m.yaml"
    for _ in range(2):
        assert guess_and_write(path, str(place))[-1].startswith(f"{place}: the map; fill in the 5 places")
    place.write_text("mine", encoding="utf-8")
    with pytest.raises(MapInvalid, match="is there already and says something else; give another path with --map"):
        guess_and_write(path, str(place))


def test_the_command_writes_a_map_and_then_imports_with_it(tmp_path: Path) -> None:
    path, place, db = results(tmp_path, ROWS), tmp_path / "m.yaml", tmp_path / "r.duckdb"
    told = CliRunner().invoke(cli, ["import", str(path), "--guess", "--map", str(place)])
    assert (told.exit_code, "is cosine by its name" in told.output) == (0, True)
    place.write_text(filled_in(place.read_text(encoding="utf-8")), encoding="utf-8")
    arguments = ["import", str(path), "--map", str(place), "--db", str(db)]
    assert "imported from" in CliRunner().invoke(cli, arguments).output
    assert "already holds" in CliRunner().invoke(cli, arguments).output
    assert CliRunner().invoke(cli, ["import", str(path)]).exit_code == 2
