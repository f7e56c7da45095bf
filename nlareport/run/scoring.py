"""Scores a run: scores, nulls, cells, baselines, measures, ablation cells and claims, from its vectors.

The last step. It is arithmetic only, so it is done whole, in one transaction, whenever its inputs have changed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from nlareport.batches import ActivationBatch
from nlareport.claims.reading import read_claims
from nlareport.errors import RunIncomplete
from nlareport.experiment import Experiment
from nlareport.ports import Row
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, CellKey, LearningCurve, SubsetRange
from nlareport.rows.item_rows import Activation, Alignment, Explanation, Item, NullScore, Outlier, Score
from nlareport.rows.run_rows import Claim, Pair, PairId
from nlareport.run import measure_scoring
from nlareport.run.ablation import n_outstanding, summarize_ablations
from nlareport.run.baseline_scoring import score_baselines
from nlareport.run.checkpoint_changes import weights_by_pair
from nlareport.run.context import Work, among, rows_at
from nlareport.run.context_reading import n_unread
from nlareport.run.recorded_checkpoints import stored_making
from nlareport.run.vector_checks import lacks_vectors
from nlareport.run.vector_origins import activations_of, reconstructions_of
from nlareport.stages import reconstruct
from nlareport.statistics import outliers
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.geometry import Centred, centre
from nlareport.statistics.identification import CellResemblance, CentredGolds, resemble
from nlareport.statistics.scores import measure_pair, null_scores, score_cell
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

Key = TypeVar("Key")

VERSION = 3
"""Version of what scoring stores: raised when it stores more, or other figures, than before."""


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
    run, stamp = work.run_file.run(), _stamp(work.run_file, work.experiment)
    if stamp["n_explanations"] < len(items) * len(work.pairs) or not items:
        raise RunIncomplete(f"{work.run_file.path}: not every item has its explanations yet; run without --only first.")
    if n_missing := n_outstanding(work):
        raise RunIncomplete(
            f"{work.run_file.path}: {n_missing} changed explanations have not been read yet; run without --only first."
        )
    if n_missing := n_unread(work):
        raise RunIncomplete(
            f"{work.run_file.path}: {n_missing} plain texts have not been read yet; run without --only first."
        )
    _score(work, items)
    checkpoints: dict[str, dict[str, str]] = {pair_id: {} for pair_id, _ in work.pairs}
    checkpoints |= weights_by_pair(stored_making(work.run_file))
    claims = read_claims(work.run_file.reader())
    # The stamp goes in last, with the claims: a run stopped before it is scored again.
    with work.run_file.transaction():
        work.run_file.replace({Claim: claims})
        work.run_file.put([replace(run, environment={**run.environment, "checkpoints": checkpoints, "scored": stamp})])
    work.progress.advance(n_cells)


def is_finished(run_file: RunFile, experiment: Experiment) -> bool:
    """Whether a run file holds everything the experiment asks for, to the scores.

    It needs no vector and no checkpoint to say so: a published run file travels without either, and then cannot be
    scored by a later version, so that it is finished as it is.
    """
    can_score_again = ActivationStore(run_file.path).folder.exists()
    return (
        run_file.count(Item) >= experiment.sampling.n_items
        and is_scored(run_file, experiment, by_this_version=can_score_again)
        and not lacks_vectors(run_file, experiment)
    )


def is_scored(run_file: RunFile, experiment: Experiment, *, by_this_version: bool = True) -> bool:
    """Whether the scores are of all that the run file holds, under what the experiment now says."""
    stored, wanted = run_file.run().environment.get("scored"), _stamp(run_file, experiment)
    if stored and not by_this_version:
        stored = {**stored, "version": VERSION}
    return bool(stored == wanted)


def _stamp(run_file: RunFile, experiment: Experiment) -> dict[str, Any]:
    """The inputs of the scores, stored with them as ``scored``: when any of it changes, the run is scored again."""
    sources = {pair.pair_id for pair in experiment.pairs}
    stamp: dict[str, Any] = {
        "version": VERSION,
        "n_items": run_file.count(Item),
        "n_explanations": sum(row.source in sources for row in run_file.rows(Explanation)),
        "scoring": experiment.scoring.model_dump(),
        # Claims name pairs and ask for families.
        "pairs": [[pair.pair_id, pair.label, pair.family] for pair in experiment.pairs],
    }
    # Only where there are some, so that a run scored before there could be any is not scored again.
    if experiment.ablations:
        stamp["ablations"] = experiment.ablations
        if experiment.ablation_items is not None:
            stamp["ablation_items"] = experiment.ablation_items
    if experiment.plain_words:
        stamp["plain_words"] = experiment.plain_words
    return stamp


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
    cells = summarize(pairs, items, scores, nulls, draws, grades.members)
    measures = measure_scoring.measure_cells(pairs, scores, resemblances, draws)
    baselines, curves = score_baselines(work, pairs, items, scores, centred, draws)
    drops = summarize_ablations(work, pairs, items, scores, draws)
    with work.run_file.transaction():
        work.run_file.put(pairs, items)
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
