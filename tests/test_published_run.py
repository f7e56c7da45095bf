from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlareport.errors import PublishedFiguresInvalid, RunFileTaken, RunFileUnreadable
from nlareport.rows.cell_rows import Cell, Measure
from nlareport.rows.item_rows import Explanation, Item, Score, stratum_of
from nlareport.rows.run_rows import Document, Pair
from nlareport.store.bundle.bundle import import_run
from nlareport.store.published.published_run import document_of, import_published, published_rows
from nlareport.store.whole_run import RunRows, read_run

FIGURES = Path(__file__).parents[1] / "data" / "published" / "18-cross-family.yaml"
SAID: dict[str, Any] = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
PAIR_IDS = [pair["pair_id"] for pair in SAID["pairs"]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunRows:
    db = tmp_path_factory.mktemp("published") / "18-cross-family.duckdb"
    assert import_published(FIGURES, db)
    return read_run(db)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], Any]], Path]:
    """The real figures with something done to them, as a file."""

    def change(how: Callable[[dict[str, Any]], Any]) -> Path:
        content = yaml.safe_load(FIGURES.read_text(encoding="utf-8"))
        how(content)
        path = tmp_path / "changed.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    return change


def test_every_published_cell_and_interval_end_is_there_exactly(stored: RunRows) -> None:
    expected = {(c["source"], c["target"]): (c["fve_nrm"], *c["ci95"]) for c in SAID["cells"]}
    assert {(c.source, c.target): (c.fve_nrm, c.ci_low, c.ci_high) for c in stored.of(Cell)} == expected
    assert len(expected) == 16
    assert {cell.subset for cell in stored.of(Cell)} == {"all"}
    assert {(cell.n_scored, cell.n_unscored) for cell in stored.of(Cell)} == {(2000, 0)}


def test_every_published_item_score_is_there_exactly(stored: RunRows) -> None:
    expected = {
        (sample["item_id"], source, target): value
        for sample in SAID["samples"]
        for source, targets in sample["fve_nrm"].items()
        for target, value in targets.items()
    }
    assert {(s.item_id, s.source, s.target): s.fve_nrm for s in stored.of(Score)} == expected
    assert len(expected) == 64
    assert all(score.mse_nrm is None and score.unscored_reason is None for score in stored.of(Score))


def test_ceiling_fractions_are_computed_from_the_diagonal(stored: RunRows) -> None:
    fractions = {(cell.source, cell.target): cell.ceiling_fraction for cell in stored.of(Cell)}
    assert fractions["gemma27-L41", "gemma12-L32"] == pytest.approx(0.680 / 0.752, abs=1e-15)
    assert fractions["gemma12-L32", "llama70-L53"] == pytest.approx(0.514 / 0.791, abs=1e-15)
    assert [fractions[pair_id, pair_id] for pair_id in PAIR_IDS] == [1.0] * 4


def test_pairs_keep_their_order_and_what_is_not_stated_stays_open(stored: RunRows) -> None:
    pairs = sorted(stored.of(Pair), key=lambda pair: pair.ordinal)
    assert [pair.pair_id for pair in pairs] == PAIR_IDS
    assert [pair.injection_scale for pair in pairs] == [150.0, 80000.0, 60000.0, 30.0]
    assert {pair.variance_nrm for pair in pairs} == {None}


def test_items_carry_their_stratum_and_document(stored: RunRows) -> None:
    found = {item.item_id: (item.token, item.stratum, item.doc_id) for item in stored.of(Item)}
    assert found == {
        1162: ("1", "digits", "openbmb/Ultra-FineWeb:en:101365"),
        1202: (" used", "prose", "openbmb/Ultra-FineWeb:en:101405"),
        1255: ("’", "punctuation", "openbmb/Ultra-FineWeb:en:101458"),
        1265: (",", "punctuation", "openbmb/Ultra-FineWeb:en:101468"),
    }
    assert {document.corpus for document in stored.of(Document)} == {"openbmb/Ultra-FineWeb"}
    assert sorted(document.source_index or 0 for document in stored.of(Document)) == [101365, 101405, 101458, 101468]


def test_ranges_notes_and_the_choice_of_samples_are_kept_in_the_environment(stored: RunRows) -> None:
    environment = stored.run.environment
    for key in ("substrate", "decode", "metric", "nulls", "replication_targets", "alignment_notes"):
        assert environment[key] == SAID[key]
    assert environment["median_activation_norm"] == {"llama70-L53": 27}
    assert environment["samples"] == [
        {key: sample[key] for key in ("kind", "rule", "item_id")} for sample in SAID["samples"]
    ]


def test_the_run_names_its_series_and_keeps_the_text_of_the_file(stored: RunRows) -> None:
    run = stored.run
    assert (run.run_id, run.kind, run.seed) == ("18-cross-family", "published", 1018)
    assert (run.series_name, run.series_number) == ("NLA experiments", 18)
    assert run.experiment_yaml == FIGURES.read_text(encoding="utf-8")


def test_cards_without_texts_give_no_explanations(stored: RunRows) -> None:
    assert stored.of(Explanation) == []
    assert all(item.context is None for item in stored.of(Item))


def test_published_texts_become_explanations(changed: Callable[..., Path]) -> None:
    def add_texts(content: dict[str, Any]) -> None:
        content["samples"][0]["explanations"][0]["text"] = "A list of crops."
        content["samples"][1]["explanations"][2] |= {"text": "Cut off", "is_clean": False}
        content["samples"][0]["context"] = "varieties of maize,"

    rows = published_rows(changed(add_texts))
    said = {(e.item_id, e.source): (e.text, e.is_clean, e.completion, e.finish) for e in rows.of(Explanation)}
    assert said == {
        (1265, "qwen7-L20"): ("A list of crops.", True, None, None),
        (1202, "gemma27-L41"): ("Cut off", False, None, None),
    }
    assert rows.of(Item)[0].context == "varieties of maize,"


def test_counts_stay_open_when_not_every_decode_was_clean(changed: Callable[..., Path]) -> None:
    rows = published_rows(changed(lambda content: content["decode"].update(clean=7990)))
    assert {(cell.n_scored, cell.n_unscored) for cell in rows.of(Cell)} == {(None, None)}


def test_a_missing_diagonal_leaves_the_fractions_of_its_column_open(changed: Callable[..., Path]) -> None:
    rows = published_rows(changed(lambda content: content["cells"].pop(0)))
    assert {cell.target for cell in rows.of(Cell) if cell.ceiling_fraction is None} == {"qwen7-L20"}


def test_importing_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    db = tmp_path / "18.duckdb"
    assert import_run(FIGURES, db)
    before = db.read_bytes()
    assert not import_run(FIGURES, db)
    assert db.read_bytes() == before


def test_another_import_does_not_overwrite(tmp_path: Path, changed: Callable[..., Path]) -> None:
    db = tmp_path / "18.duckdb"
    import_published(FIGURES, db)
    before = db.read_bytes()
    with pytest.raises(RunFileTaken, match=r"already holds run '18-cross-family' \(published\) with other content"):
        import_published(changed(lambda content: content["cells"][0].update(fve_nrm=0.75)), db)
    db.with_name("notes.duckdb").write_text("my notes")
    with pytest.raises(RunFileUnreadable, match="so no run file"):
        import_published(FIGURES, db.with_name("notes.duckdb"))
    assert db.read_bytes() == before


def test_all_faults_are_listed_together(changed: Callable[..., Path]) -> None:
    def spoil(content: dict[str, Any]) -> None:
        content["titel"] = content.pop("title")
        content["cells"][1]["target"] = "gemma99"
        content["cells"][2]["ci95"] = [0.6, 0.7]
        content["cells"][3]["fve_nrm"] = float("nan")
        content["pairs"][0]["block_index"] = "twenty"
        content["nulls"] |= {"min": 1.0}
        content["samples"][0]["explanations"][0]["own_fve"] = 0.5
        content["samples"][1]["fve_nrm"]["nobody"] = {}

    with pytest.raises(PublishedFiguresInvalid, match=r"changed.yaml: ") as refusal:
        published_rows(changed(spoil))
    message = str(refusal.value)
    for fault in [
        "titel: is not a known key",
        "title: is missing",
        "cells.1.target: is none of the pairs",
        "cells.2: fve_nrm 0.52 lies outside ci95",
        "cells.3.fve_nrm",
        "pairs.0.block_index",
        "nulls: min 1.0 is above max -0.66",
        "own_fve of qwen7-L20 is 0.5, its diagonal says 0.91",
        "nobody",
    ]:
        assert fault in message
    assert len(message.splitlines()) == 9


def test_what_stands_twice_is_a_fault(changed: Callable[..., Path]) -> None:
    def repeat(content: dict[str, Any]) -> None:
        content["cells"].append(content["cells"][0])
        content["pairs"].append(content["pairs"][1])

    with pytest.raises(PublishedFiguresInvalid, match="given twice: pair gemma12-L32, cell qwen7-L20 → qwen7-L20"):
        published_rows(changed(repeat))


def test_two_cards_may_show_one_item_but_not_give_one_number_to_two(changed: Callable[..., Path]) -> None:
    def share(content: dict[str, Any], **changes: str) -> None:
        content["samples"].append({**content["samples"][0], "kind": "again", **changes})

    assert len(published_rows(changed(share)).of(Item)) == 4
    with pytest.raises(PublishedFiguresInvalid, match="item_id 1265 stands for two different items"):
        published_rows(changed(lambda content: share(content, token="x")))


@pytest.mark.parametrize(
    ("text", "complaint"), [("a: [", "is not YAML"), ("- 1", "holds no figures"), ("", "holds no figures")]
)
def test_a_text_that_is_no_figures_file_says_so(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(PublishedFiguresInvalid, match=complaint):
        published_rows(tmp_path / "x.yaml")
    with pytest.raises(PublishedFiguresInvalid, match="cannot be read"):
        published_rows(tmp_path / "none.yaml")


def test_a_document_id_tells_its_corpus_and_place() -> None:
    assert document_of("org/name:en:12").corpus == "org/name"
    assert document_of("org/name:en:12").source_index == 12
    assert (document_of("letters").corpus, document_of("letters").source_index) == ("letters", None)


def test_strata_by_token() -> None:
    assert [stratum_of(token) for token in ["1", " v2", "٣", ",", "’", " ", "", " used", "é", "語"]] == [
        *["digits"] * 3,
        *["punctuation"] * 4,
        *["prose"] * 3,
    ]


def test_figures_of_another_metric_are_carried_over_under_its_name(tmp_path: Path) -> None:
    pair = "{pair_id: a, label: A, family: f, base_model: m, block_index: 1, d_model: 8}"
    text = (
        "experiment: cosines\ntitle: Cosines\nsubstrate: {corpus: held out, docs: 50}\ndecode: {}\n"
        f"metric: {{name: fve_meannorm}}\npairs: [{pair}]\n"
        "cells: [{source: a, target: a, cos: 0.438, fve_meannorm: 0.2, sd: 0.054}]\n"
    )
    (tmp_path / "figures.yaml").write_text(text, encoding="utf-8")
    rows = published_rows(tmp_path / "figures.yaml")
    (cell,), (measure,) = rows.of(Cell), rows.of(Measure)
    assert (cell.fve_nrm, cell.fve_meannorm) == (None, 0.2)
    assert (measure.measure, measure.value, measure.n_scored) == ("cosine", 0.438, 50)
    assert rows.run.environment["other_figures"] == [{"source": "a", "target": "a", "name": "sd", "value": 0.054}]
    (tmp_path / "none.yaml").write_text(text.replace("cos: 0.438, fve_meannorm: 0.2, ", ""), encoding="utf-8")
    with pytest.raises(PublishedFiguresInvalid, match="needs one of fve_nrm, fve_meannorm and cos"):
        published_rows(tmp_path / "none.yaml")
