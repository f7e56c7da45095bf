"""Scores a run: scores, nulls, cells, baselines, measures, ablation cells and claims, from its vectors.

The last step. It is arithmetic only, so it is done whole, in one transaction, whenever its inputs have changed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from nlareport.batches import ActivationBatch
from nlareport.claims.reading import read_claims
from nlareport.ports import Row
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, CellKey, LearningCurve, SubsetRange
from nlareport.rows.item_rows import Activation, Alignment, Explanation, Item, NullScore, Outlier, Score
from nlareport.rows.run_rows import Claim, Pair, PairId
from nlareport.run import measure_scoring
from nlareport.run.ablation import summarize_ablations
from nlareport.run.baseline_scoring import score_baselines
from nlareport.run.checkpoint_changes import weights_by_pair
from nlareport.run.completion import is_scored, refuse_unfinished, scores_stamp
from nlareport.run.context import Work, among, rows_at
from nlareport.run.recorded_checkpoints import read_making
from nlareport.run.vector_origins import activations_of, reconstructions_of
from nlareport.stages import reconstruct
from nlareport.statistics import outliers
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.draw_folding import fold_null_scores, fold_scores
from nlareport.statistics.geometry import Centred, centre
from nlareport.statistics.identification import CellResemblance, CentredGolds, resemble
from nlareport.statistics.scores import measure_pair, null_scores, score_cell

Key = TypeVar("Key")


def score_run(work: Work) -> None:
    """Reconstructions to scores, nulls, baselines, cells and claims.

    Raises:
        RunIncomplete: an earlier stage has not finished.
    """
    items = work.items()
    n_cells = len(work.pairs) ** 2
    is_done = is_scored(work.run_file, work.experiment)
    work.progress.stage("score", n_cells, n_cells if is_done else 0)
    if is_done:
        return
    refuse_unfinished(work)
    stamp = scores_stamp(work.run_file, work.experiment)
    _score(work, items)
    run = work.run_file.run()
    checkpoints: dict[str, dict[str, str]] = {pair_id: {} for pair_id, _ in work.pairs}
    checkpoints |= weights_by_pair(read_making(work.run_file))
    claims = read_claims(work.run_file.reader())
    # The stamp goes in last, with the claims: a run stopped before it is scored again.
    with work.run_file.transaction():
        work.run_file.replace({Claim: claims})
        work.run_file.put([replace(run, environment={**run.environment, "checkpoints": checkpoints, "scored": stamp})])
    work.progress.advance(n_cells)


def _score(work: Work, items: list[Item]) -> None:
    golds = {pair_id: rows_at(activations_of(work, pair_id), items) for pair_id, _ in work.pairs}
    pairs = [_measured(pair, golds[pair.pair_id]) for pair in work.run_file.rows(Pair)]
    pairs.sort(key=lambda pair: pair.ordinal)
    explanations = {source: work.explanations(source) for source, _ in work.pairs}
    alignments = _by(work.run_file.rows(Alignment), lambda row: row.pair_id)
    found = outliers.find_outliers(alignments, explanations)
    flagged = {row.item_id for row in found}
    items = [replace(item, is_outlier=item.item_id in flagged) for item in items]
    centred = {pair_id: centre(gold.vectors) for pair_id, gold in golds.items()}
    draws = _draws(work, pairs, items, golds)
    scores, nulls, resemblances = _score_cells(work, pairs, golds, centred, explanations, draws)
    grades = measure_scoring.grade_items(golds, centred, alignments)
    reducer = work.experiment.scoring.reducer
    folded = fold_scores(scores, reducer)
    cells = summarize(pairs, items, folded, fold_null_scores(nulls, reducer), draws, grades.members)
    measures = measure_scoring.measure_cells(pairs, folded, resemblances, draws)
    baselines, curves = score_baselines(work, pairs, items, folded, centred, draws)
    drops = summarize_ablations(work, pairs, items, folded, draws)
    with work.run_file.transaction():
        work.run_file.put([replace(work.run_file.run(), reducer=reducer)], pairs, items)
        work.run_file.replace(
            {
                Score: scores,
                NullScore: nulls,
                Cell: cells,
                Baseline: baselines,
                LearningCurve: curves,
                AblationCell: drops,
                Outlier: found,
                Activation: grades.activations,
                SubsetRange: grades.ranges,
                **measures,
            }
        )


def _measured(pair: Pair, gold: ActivationBatch) -> Pair:
    geometry = measure_pair(gold)
    return replace(pair, variance_nrm=geometry.variance_nrm, mean_norm=geometry.mean_norm)


def _draws(work: Work, pairs: list[Pair], items: list[Item], golds: dict[PairId, ActivationBatch]) -> DocumentDraws:
    """What every interval of the run is drawn from, V too unless the experiment holds it fixed."""
    scoring, seed = work.experiment.scoring, work.experiment.sampling.seed
    drawn = golds if scoring.variance == "resampled" else {}
    return DocumentDraws.of(items, scoring.bootstrap_draws, seed, pairs, drawn)


def _score_cells(
    work: Work,
    pairs: list[Pair],
    golds: dict[PairId, ActivationBatch],
    centred: dict[PairId, Centred],
    explanations: dict[PairId, list[Explanation]],
    draws: DocumentDraws,
) -> tuple[list[Score], list[NullScore], dict[CellKey, CellResemblance]]:
    """All that needs a cell's reconstructions, which are read once, one cell at a time."""
    scoring = work.experiment.scoring
    marks = {source: work.marks(source) for source in explanations}
    offering = {
        source: {
            row.item_id
            for row in rows
            if reconstruct.scorable_text(row, scoring.unclean, marks[source].get(row.item_id)) is not None
        }
        for source, rows in explanations.items()
    }
    scores: list[Score] = []
    nulls: list[NullScore] = []
    resemblances: dict[CellKey, CellResemblance] = {}
    for target in pairs:
        gold = golds[target.pair_id]
        others = CentredGolds(target.pair_id, gold.item_ids, draws.documents, centred[target.pair_id])
        for source in pairs:
            answers = reconstructions_of(work, source.pair_id, target.pair_id)
            # The folder may hold answers to texts that no longer count: `scoring.unclean` can change.
            answers = among(answers, offering[source.pair_id])
            cell = (source.pair_id, target.pair_id, gold, answers)
            of_source, variance = explanations[source.pair_id], target.variance_nrm or 0.0
            scores += score_cell(*cell, of_source, variance, scoring.unclean, marks[source.pair_id])
            nulls += null_scores(*cell, draws.documents, scoring.permutations, draws.seed)
            resemblances[CellKey(source.pair_id, target.pair_id)] = resemble(source.pair_id, others, answers)
    return scores, nulls, resemblances


def _by(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
