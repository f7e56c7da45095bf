import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from support.made_runs import write_computed_run

from nlareport.claims import reading
from nlareport.claims.claim_texts import FigureFormatter
from nlareport.claims.reading import ClaimNeed, absent_needs, claim_templates, read_claims
from nlareport.errors import ClaimInvalid
from nlareport.rows.cell_rows import AblationCell, Baseline
from nlareport.rows.run_rows import Claim, PairId
from nlareport.store.reader import DuckDBReader
from nlareport.store.run_file import RunFile

QWEN = PairId("qwen05-L16")


def claims_of(db: Path) -> dict[str, Claim]:
    with DuckDBReader.open(db) as reader:
        return {claim.claim_id: claim for claim in read_claims(reader)}


@pytest.fixture(scope="module")
def published(published_run: Path) -> dict[str, Claim]:
    return claims_of(published_run)


@pytest.fixture(scope="module")
def computed(computed_run: Path) -> dict[str, Claim]:
    return claims_of(computed_run)


def test_widest_interval_is_told_as_it_is_not_as_the_published_prose_rounds_it(published: dict[str, Claim]) -> None:
    claim = published["cross_family"]
    assert claim.holds
    assert claim.figures["n"] == 10
    assert claim.figures["widest"] == pytest.approx(0.025)
    assert "0.514 or more" in claim.text


def test_ceiling_fractions_run_from_65_to_90_percent(published: dict[str, Claim]) -> None:
    assert published["ceiling_fractions"].holds
    assert "65–90%" in published["ceiling_fractions"].text


def test_additive_fit_orders_sources_otherwise_than_the_plain_means(published: dict[str, Claim]) -> None:
    # By hand: with n = 4, level 7.042 / 12; gemma27 row 1.841, column 1.729; llama row 1.870, column 1.637.
    level = 7.042 / 12
    gemma = (3 * (1.841 - 3 * level) + (1.729 - 3 * level)) / 8
    llama = (3 * (1.870 - 3 * level) + (1.637 - 3 * level)) / 8
    assert gemma > llama
    claim = published["source_quality"]
    assert not claim.holds
    assert published["source_quality.otherwise"].holds
    assert claim.figures["fair_order"][0] == f"gemma-27B +{gemma:.3f}"
    assert claim.figures["plain_order"][0] == "llama-70B 0.623"


def test_one_pairing_of_six_runs_against_the_direction(published: dict[str, Claim]) -> None:
    assert published["direction.otherwise"].holds
    assert (published["direction"].figures["n_down"], published["direction"].figures["n"]) == (5, 6)


def test_published_nulls_are_held_against_the_top_of_their_range(published: dict[str, Claim]) -> None:
    assert published["above_null"].figures["smallest_gap"] == pytest.approx(0.514 + 0.66)
    diagonals = published["diagonal_above_null"]
    assert diagonals.holds
    assert diagonals.figures["smallest_gap"] == pytest.approx(0.748 + 0.66)
    assert "the closest (qwen-7B) by 1.41" in diagonals.text


def test_best_and_worst_cell_are_named_with_whether_chance_could_have_chosen_them(
    published: dict[str, Claim], tmp_path: Path
) -> None:
    claim = published["best_and_worst"]
    assert claim.holds
    assert "gemma-27B → gemma-12B scores highest (0.680) and gemma-12B → llama-70B lowest (0.514)" in claim.text
    meeting = _changed(tmp_path / "run.duckdb", "UPDATE cell SET ci_low = 0.1, ci_high = 0.9")
    assert meeting["best_and_worst.otherwise"].holds
    assert "not settled" in meeting["best_and_worst.otherwise"].text


def test_the_largest_asymmetry_is_told_by_score_and_by_ceiling(published: dict[str, Claim], tmp_path: Path) -> None:
    claim = published["asymmetry"]
    assert claim.holds
    # By hand: 0.630 and 0.514; ceilings 0.752 and 0.791.
    reverse = "the reverse direction 0.514 (84% and 65% of the targets' ceilings)"
    assert f"llama-70B → gemma-12B scores 0.630, {reverse}" in claim.text
    assert (claim.figures["n"], claim.figures["n_apart"]) == (6, 4)
    alike = _changed(tmp_path / "run.duckdb", "UPDATE cell SET fve_nrm = 0.5, ci_low = 0.4, ci_high = 0.6")
    assert alike["asymmetry.otherwise"].holds
    assert alike["asymmetry"].figures["n"] == 1


def test_width_orders_targets_or_sources_only_when_every_wider_one_agrees(published: dict[str, Claim]) -> None:
    assert published["target_size.otherwise"].holds
    assert "llama-70B 69%, gemma-27B 75%, gemma-12B 84% and qwen-7B 79%" in published["target_size"].text
    # llama-70B writes a hair worse than gemma-27B, though it is wider.
    assert published["source_size.otherwise"].holds


def test_models_of_one_width_are_not_ordered_by_it(tmp_path: Path) -> None:
    claims = _changed(tmp_path / "run.duckdb", "UPDATE pair SET d_model = 640")
    assert not {"target_size", "source_size", "direction"} & set(claims)


def test_the_widest_interval_is_laid_to_spread_or_to_number(published: dict[str, Claim], tmp_path: Path) -> None:
    claim = published["interval_widths"]
    assert claim.holds
    assert "0.009 wide (qwen-7B → qwen-7B, 2\u202f000 items), the widest 0.046 (llama-70B → gemma-27B" in claim.text
    # By hand: twice as wide with a quarter of the items is what numbers alone give.
    few = "UPDATE cell SET ci_low = fve_nrm - 0.2, n_scored = 30 WHERE source = target"
    alone = _changed(tmp_path / "run.duckdb", "UPDATE cell SET ci_low = fve_nrm - 0.1, n_scored = 120", few)
    assert alone["interval_widths.otherwise"].holds


def test_a_diagonal_below_its_null_is_named(tmp_path: Path) -> None:
    drowned = "UPDATE cell SET null_fve = 0.9 WHERE source = target AND source = 'qwen05-L16'"
    claims = _changed(tmp_path / "run.duckdb", drowned)
    assert not claims["diagonal_above_null"].holds
    assert "Only 1 of 2 diagonals lie above" in claims["diagonal_above_null.otherwise"].text


def test_what_a_run_cannot_be_asked_is_said_in_neither_form(
    published: dict[str, Claim], computed: dict[str, Claim]
) -> None:
    assert not {"above_constant", "above_constant.otherwise", "outliers"} & set(published)
    assert not {"source_quality", "same_family", "cross_model"} & set(computed)


def test_drops_of_changed_texts_are_told_with_their_range(computed: dict[str, Claim]) -> None:
    assert computed["ablations"].holds
    assert computed["ablations"].text == (
        "Of 4 changes to the text, blanking the quotes costs every same-model score most (drops of 0.402 to 0.412) and "
        "masking the digits least (0.003 to 0.013; the paired 95% interval lies above zero for 0 of 2 pairs)."
    )


def test_what_quotes_alone_keep_is_told_as_a_share(computed: dict[str, Claim]) -> None:
    # 0.5 - 0.204 of 0.5, and 0.5 - 0.204 of 0.51; the upper ends of the drops, 0.227, are below a half.
    assert computed["quotes_kept"].holds
    assert computed["quotes_kept"].text == (
        "What is in quotation marks alone keeps most of every same-model score: 58–59% of it."
    )


def _changed(db: Path, *statements: str) -> dict[str, Claim]:
    """The claims of a computed run in which something was changed."""
    write_computed_run(db)
    with duckdb.connect(str(db)) as connection:
        for statement in statements:
            connection.execute(statement)
    return claims_of(db)


def _with_ablations(db: Path, change: Callable[[AblationCell], AblationCell | None]) -> dict[str, Claim]:
    write_computed_run(db)
    with RunFile.open(db) as run_file:
        changed = [change(row) for row in run_file.rows(AblationCell)]
        run_file.replace({AblationCell: [row for row in changed if row is not None]})
    return claims_of(db)


def _in_qwen(method: str, **changes: float) -> Callable[[AblationCell], AblationCell]:
    """What replaces values of the row of one method where Qwen reads its own texts."""

    def changed(row: AblationCell) -> AblationCell:
        return replace(row, **changes) if (row.source, row.target, row.method) == (QWEN, QWEN, method) else row

    return changed


def test_changes_that_rank_otherwise_for_one_pair_are_told_in_the_weaker_form(tmp_path: Path) -> None:
    claims = _with_ablations(tmp_path / "run.duckdb", _in_qwen("words_shuffled", fve_drop=-0.01))
    assert not claims["ablations"].holds
    assert claims["ablations.otherwise"].holds
    assert claims["ablations.otherwise"].text == (
        "No single order of 4 changes to the text is clear for every pair: blanking the quotes costs the same-model "
        "score most for 2 of 2 pairs (drops of 0.402 to 0.412), shuffling the words least for 1 (drops of −0.010 to "
        "0.153; the paired 95% interval lies above zero for 2 of 2 pairs)."
    )


def test_a_largest_drop_that_may_be_none_is_not_said_to_cost_most(tmp_path: Path) -> None:
    claims = _with_ablations(tmp_path / "run.duckdb", _in_qwen("quotes_blanked", drop_low=0.0))
    assert not claims["ablations"].holds


def test_quotes_that_may_keep_less_than_half_of_one_score_are_told_in_the_weaker_form(tmp_path: Path) -> None:
    claims = _with_ablations(tmp_path / "run.duckdb", _in_qwen("quotes_kept", drop_high=0.27))
    assert not claims["quotes_kept"].holds
    assert claims["quotes_kept.otherwise"].text == (
        "What is in quotation marks alone does not keep most of every same-model score: clearly more than half is "
        "left for 1 of 2 pairs (fve_nrm of 0.296)."
    )


def test_the_end_that_carries_the_scores_is_told_with_what_both_ends_leave(computed: dict[str, Claim]) -> None:
    # 0.5 - 0.135 of 0.5 and of 0.51, and 0.5 - 0.31: cuts to 8 tokens are the shortest made at both ends.
    assert computed["cuts"].holds
    assert computed["cuts"].text == (
        "The end of the text carries the same-model scores: the last 8 tokens alone keep 72–73% of each, the first 8 "
        "alone leave an fve_nrm of 0.190."
    )


@pytest.mark.parametrize(
    "weakened", [{"method": "last_8_tokens", "drop_high": 0.3}, {"method": "first_8_tokens", "drop_low": 0.1}]
)
def test_an_end_that_may_not_carry_one_score_is_told_in_the_weaker_form(weakened: dict, tmp_path: Path) -> None:
    claims = _with_ablations(tmp_path / "run.duckdb", _in_qwen(**weakened))
    assert not claims["cuts"].holds
    n_last = 1 if weakened["method"] == "last_8_tokens" else 2
    assert claims["cuts.otherwise"].text == (
        "It is not the end of the text alone that carries every same-model score: clearly more than half of it is left "
        f"with the last 8 tokens for {n_last} of 2 pairs (fve_nrm of 0.365), with the first 8 for 0 (fve_nrm of 0.190)."
    )


def test_cuts_are_told_of_the_smallest_number_of_tokens_kept_at_both_ends_of_every_pair(tmp_path: Path) -> None:
    def without_first_8(row: AblationCell) -> AblationCell | None:
        return None if (row.source, row.method) == (QWEN, "first_8_tokens") else row

    claims = _with_ablations(tmp_path / "run.duckdb", without_first_8)
    assert "the last 16 tokens alone keep 77–79% of each" in claims["cuts"].text


def test_cuts_and_cross_model_cells_take_no_part_in_the_order_of_changes(tmp_path: Path) -> None:
    def extreme(row: AblationCell) -> AblationCell:
        is_extreme = row.source != row.target or row.method == "first_8_tokens"
        return replace(row, fve_drop=9.0, drop_low=8.0, drop_high=10.0) if is_extreme else row

    claims = _with_ablations(tmp_path / "run.duckdb", extreme)
    assert "blanking the quotes costs every same-model score most" in claims["ablations"].text
    assert claims["ablations"].holds
    assert claims["quotes_kept"].holds


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row if row.method == "words_shuffled" else None,
        lambda row: row if row.target == "smollm2-L20" else None,
        lambda row: replace(row, drop_low=None, drop_high=None),
        lambda row: None,
    ],
    ids=["one method", "one pair of two", "no interval", "none"],
)
def test_drops_are_not_spoken_of_unless_all_are_known(
    change: Callable[[AblationCell], AblationCell | None], tmp_path: Path
) -> None:
    spoken = set(_with_ablations(tmp_path / "run.duckdb", change))
    told = {"ablations", "quotes_kept", "cuts"}
    assert not {claim_id for claim_id in spoken if claim_id.removesuffix(".otherwise") in told}


def test_a_claim_and_its_weaker_form_never_hold_together(
    published: dict[str, Claim], computed: dict[str, Claim]
) -> None:
    for claims in (published, computed):
        for claim_id, claim in claims.items():
            weaker = claims.get(f"{claim_id}.otherwise")
            assert weaker is None or weaker.holds != claim.holds


def test_claims_that_do_not_hold_are_not_shown(computed_run: Path, computed_report: Path) -> None:
    claims = claims_of(computed_run)
    assert not claims["clean"].holds
    page = (computed_report / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r' id="claim-([\w.]+)">', page))
    assert shown == {claim_id for claim_id, claim in claims.items() if claim.holds}
    assert "clean.otherwise" in shown
    # The sentence of the page's top is not said again below.
    assert page.index('id="claim-best_and_worst') < page.index('id="reads"')


def test_two_pocket_pairs_are_read_without_figures_left_open(computed: dict[str, Claim]) -> None:
    for claim in computed.values():
        assert not re.search(r"[{}]|None|nan|not known", claim.text), claim.text


def test_a_sentence_that_names_a_figure_its_query_does_not_give_fails() -> None:
    with pytest.raises(KeyError, match="highest"):
        FigureFormatter().vformat("{highest:signed}", (), {"lowest": 0.1})


def test_an_unknown_format_word_fails() -> None:
    with pytest.raises(ValueError, match="unknown format word 'pct'"):
        FigureFormatter().vformat("{share:pct}", (), {"share": 0.1})


def test_every_claim_is_a_text_next_to_a_query() -> None:
    room = Path(reading.__file__).parent
    texts, queries = ({path.stem for path in room.glob(ending)} for ending in ("*.yaml", "*.sql"))
    assert texts == queries == {template.claim_id for template in claim_templates()}
    assert len(texts) >= 18
    assert {f"claim_{claim_id}" for claim_id in texts} < DuckDBReader.query_names().keys()


def test_within_a_section_the_claim_that_says_most_comes_first(tmp_path: Path) -> None:
    for claim_id, section, weight in [("a", "text", 90), ("b", "matrix", 10), ("c", "matrix", 20), ("d", "matrix", 20)]:
        (tmp_path / f"{claim_id}.yaml").write_text(f"section: {section}\nweight: {weight}\ntext: It is so.\n")
    assert [template.claim_id for template in claim_templates(tmp_path)] == ["c", "d", "b", "a"]


def test_faults_of_a_claims_file_are_listed_together(tmp_path: Path) -> None:
    (tmp_path / "wide.yaml").write_text("section: cellar\nweight: 500\ntext: It is so.\nhreo: true\n")
    with pytest.raises(ClaimInvalid) as caught:
        claim_templates(tmp_path)
    faults = str(caught.value).splitlines()
    assert [fault.split(": ")[:2] for fault in faults] == [
        ["wide.yaml", "section"],
        ["wide.yaml", "weight"],
        ["wide.yaml", "hreo"],
    ]
    (tmp_path / "wide.yaml").write_text("just a text")
    with pytest.raises(ClaimInvalid, match=r"wide\.yaml: holds no claim"):
        claim_templates(tmp_path)


def test_language_is_told_against_the_linear_map_over_the_cross_model_cells(
    published: dict[str, Claim], computed: dict[str, Claim]
) -> None:
    assert not {"language_and_ridge", "language_and_ridge.otherwise"} & set(published)
    claim = computed["language_and_ridge"]
    assert claim.holds
    assert (claim.figures["n"], claim.figures["n_above"], claim.figures["n_training"]) == (2, 2, 96)
    assert "a linear map fitted on 96 items of other documents" in claim.text
    assert "against 0.120" in claim.text


@pytest.mark.parametrize(("level", "n_above"), [(0.9, 1), (None, None)])
def test_a_map_that_knows_more_takes_the_claim_away_and_one_that_is_not_known_both_forms(
    level: float | None, n_above: int | None, tmp_path: Path
) -> None:
    db = write_computed_run(tmp_path / "run.duckdb")
    with RunFile.open(db) as run_file:
        rows = run_file.rows(Baseline)
        first = next(row for row in rows if row.method == "ridge")
        run_file.replace({Baseline: [replace(row, fve_nrm=level) if row is first else row for row in rows]})
    claims = claims_of(db)
    if n_above is None:
        assert not {"language_and_ridge", "language_and_ridge.otherwise"} & set(claims)
    else:
        assert not claims["language_and_ridge"].holds
        assert f"in {n_above} of 2 cross-model cells" in claims["language_and_ridge.otherwise"].text


def test_every_sentence_names_what_it_needs_and_is_asked_exactly_where_nothing_is_lacking(computed_run: Path) -> None:
    with DuckDBReader.open(computed_run) as reader:
        known = {need.need for need in reader.rows(ClaimNeed, "needs_of_claims")}
        absent = absent_needs(reader)
        asked = {claim.claim_id for claim in read_claims(reader)}
    assert all(template.needs and set(template.needs) <= known for template in claim_templates())
    assert not asked & absent.keys()
    # All intervals of this run are equally wide, so none is the narrowest.
    assert {template.claim_id for template in claim_templates()} - asked - absent.keys() == {"interval_widths"}
