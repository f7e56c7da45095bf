"""Computes the tables of an imported run that follow from its rows: cells with intervals, effects, baselines, measures.

Takes a run as a bundle or a mapping states it, returns it with what `statistics.run_summary` makes of its rows. A
derived row that is stated stays as it is, and gets the figures it leaves open where the others bear out the rows; one
that the rows contradict is left for ``nlareport check`` to name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

from nlareport.rows.cell_rows import AblationCell, Baseline, Cell
from nlareport.rows.declaration import TABLES
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    Explanation,
    Item,
    NullScore,
    PlainReading,
    Resemblance,
    Score,
    Tag,
)
from nlareport.rows.run_rows import Pair
from nlareport.statistics.ablation_cells import AblatedTexts
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.row_baselines import mean_norm_of, row_baselines
from nlareport.statistics.run_summary import ItemRows, summarize_run
from nlareport.statistics.tag_subsets import STRATA
from nlareport.store.row_tables import sort_key
from nlareport.store.whole_run import RunRows

RECORD = "computed_at_import"
"""The key of `run.environment` that says with what the tables of an imported run were computed."""

FLAGS = "outlier_flag"
"""Stands in that record among what was stated, where items came with flags of their own."""

ROUNDED = 5.1e-4
"""How far a stated figure may be from the computed one and still be the same, rounded to three decimals."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are drawn."""

    draws: int = 10_000
    seed: int = 0


def bootstrap_of(environment: Mapping[str, Any]) -> Bootstrap:
    """How the intervals of a run with this environment were drawn, or, where it does not say, how they are."""
    record = environment.get(RECORD)
    said = record if isinstance(record, dict) else {}
    stated = {name: said.get(f"bootstrap_{name}") for name in ("draws", "seed")}
    whole = {name: value for name, value in stated.items() if isinstance(value, int) and not isinstance(value, bool)}
    return Bootstrap(**whole)


def compute_tables(rows: RunRows, bootstrap: Bootstrap | None = None) -> RunRows:
    """The run with every table that its rows allow; how the intervals were drawn goes into its environment."""
    drawn = bootstrap or bootstrap_of(rows.run.environment)
    pairs = [_with_mean_norm(pair) for pair in rows.of(Pair)]
    scores = with_fve_nrm(rows.of(Score), pairs)
    known = _item_rows(rows, pairs, scores, drawn)
    summary = {**summarize_run(known), Baseline: row_baselines(known)}
    stated: list[str] = []
    tables: dict[type, Sequence[object]] = {Pair: pairs, Score: scores}
    if rows.of(Item):
        tables[Item] = known.judged_items
    for row_type in (row_type for row_type in TABLES if row_type in summary and row_type is not Item):
        given, computed = rows.tables[row_type], _with_content(summary[row_type], known)
        tables[row_type] = _merged(given, computed)
        if _is_stated(given, computed):
            stated.append(TABLES[row_type].name)
    if any(item.is_outlier is not None for item in rows.of(Item)):
        stated.append(FLAGS)
    record: dict[str, Any] = {"bootstrap_draws": drawn.draws, "bootstrap_seed": drawn.seed, "variance": "fixed"}
    if not any(score.fve_nrm is not None for score in rows.of(Score)):
        record["fve_nrm"] = "computed"
    environment = {**rows.run.environment, RECORD: {**record, **({"stated": stated} if stated else {})}}
    return RunRows(replace(rows.run, environment=environment), {**rows.tables, **tables}).with_derived_rows()


def with_fve_nrm(scores: Sequence[Score], pairs: Sequence[Pair]) -> list[Score]:
    """The scores, each with 1 - mse_nrm / V where it states no `fve_nrm` and its target's V is known."""
    variances = {pair.pair_id: pair.variance_nrm for pair in pairs}
    return [
        replace(score, fve_nrm=1.0 - score.mse_nrm / variance)
        if score.fve_nrm is None and score.mse_nrm is not None and (variance := variances.get(score.target))
        else score
        for score in scores
    ]


def _with_mean_norm(pair: Pair) -> Pair:
    return pair if pair.mean_norm is not None else replace(pair, mean_norm=mean_norm_of(pair.variance_nrm))


def _item_rows(rows: RunRows, pairs: list[Pair], scores: list[Score], bootstrap: Bootstrap) -> ItemRows:
    items = rows.of(Item) or _stand_ins(rows, scores)
    pairs = sorted(pairs, key=lambda pair: pair.ordinal)
    explanations, alignments = rows.of(Explanation), rows.of(Alignment)
    can_judge = bool(alignments) or any(row.text for row in explanations)
    return ItemRows(
        pairs,
        items,
        DocumentDraws.of(items, bootstrap.draws, bootstrap.seed, pairs),
        scores=scores,
        null_scores=rows.of(NullScore),
        resemblances=rows.of(Resemblance),
        explanations=explanations,
        alignments=alignments,
        activations=rows.of(Activation),
        tags=rows.of(Tag),
        given_scores=rows.of(GivenScore),
        ablations=rows.of(Ablation),
        plain_readings=rows.of(PlainReading),
        ablated=_ablated(rows.of(Ablation), pairs),
        reducer=rows.run.reducer,
        are_judged=not can_judge or any(item.is_outlier is not None for item in items),
    )


def _stand_ins(rows: RunRows, scores: list[Score]) -> list[Item]:
    """An item for every number that the rows name, each its own document; nothing is known of their tokens."""
    others = (GivenScore, NullScore, Resemblance, Explanation, Alignment, Activation, Ablation, PlainReading)
    named = {row.item_id for row in scores}
    named |= {row.item_id for row_type in others for row in cast(Sequence[Any], rows.tables[row_type])}
    return [Item(item_id, f"item:{item_id}", None, "", None, "prose") for item_id in sorted(named)]


def _ablated(ablations: Sequence[Ablation], pairs: Sequence[Pair]) -> AblatedTexts:
    """What was changed, methods in the order of the rows; nothing of targets whose V is not known."""
    has_scale = {pair.pair_id for pair in pairs if pair.variance_nrm}
    rows = [row for row in ablations if row.target in has_scale]
    item_ids = {row.item_id for row in rows}
    # Of every source: only items with a row of their own then count in a cell.
    return AblatedTexts(
        list(dict.fromkeys(row.method for row in rows)), item_ids, {pair.pair_id: item_ids for pair in pairs}
    )


def _with_content(computed: Sequence[object], known: ItemRows) -> list[object]:
    """The rows that have an item to speak of: a bundle need not hold tokens, flags or every changed text."""
    has_tokens = any(item.token for item in known.items)
    return [row for row in computed if _has_content(row, has_tokens=has_tokens)]


def _has_content(row: object, *, has_tokens: bool) -> bool:
    match row:
        case Cell():
            is_known = has_tokens or row.subset not in STRATA
            return is_known and bool(row.n_scored or row.n_unscored)
        case AblationCell():
            return row.n_scored > 0
        case _:
            return True


def _merged(given: Sequence[object], computed: Sequence[object]) -> list[object]:
    """The given rows, filled where the computed ones agree with them, and the computed ones of which none is given."""
    by_key = {sort_key(row): row for row in computed}
    kept = [_filled(row, by_key.pop(sort_key(row), None)) for row in given]
    return [*kept, *by_key.values()]


def _filled(given: object, computed: object | None) -> object:
    if computed is None or not _agree(given, computed):
        return given
    names = [column.name for column in fields(given)]  # type: ignore[arg-type]
    open_ = {name: getattr(computed, name) for name in names if getattr(given, name) is None}
    return replace(given, **open_)  # type: ignore[type-var]


def _agree(given: object, computed: object) -> bool:
    """Whether no figure of the one contradicts the other's."""
    names = [column.name for column in fields(given)]  # type: ignore[arg-type]
    return all(_is_same(getattr(given, name), getattr(computed, name)) for name in names)


def _is_same(given: Any, computed: Any) -> bool:
    if given is None:
        return True
    if isinstance(given, float) and isinstance(computed, float):
        return abs(given - computed) <= ROUNDED
    return bool(given == computed)


def _is_stated(given: Sequence[object], computed: Sequence[object]) -> bool:
    """Whether some row says what does not follow from the rows of items."""
    by_key = {sort_key(row): row for row in computed}
    return any(sort_key(row) not in by_key or not _agree(row, by_key[sort_key(row)]) for row in given)
