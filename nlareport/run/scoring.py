"""Scores a run: scores, nulls, cells, baselines, measures, ablation cells and claims, from its vectors.

The last step. It is arithmetic only, so it is done whole, in one transaction, whenever its inputs have changed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from nlareport.batches import ActivationBatch
from nlareport.claims.reading import read_claims
from nlareport.errors import RunIncomplete
from nlareport.rows.cell_rows import Baseline, CellKey, LearningCurve, Measure
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    Explanation,
    Item,
    NullScore,
    Resemblance,
    Score,
    Tag,
)
from nlareport.rows.run_rows import Claim, Pair, PairId
from nlareport.run.ablation import find_ablated
from nlareport.run.baseline_scoring import score_baselines
from nlareport.run.checkpoint_changes import weights_by_pair
from nlareport.run.completion import is_scored, refuse_unfinished, scores_stamp
from nlareport.run.context import Work, Writing, among, rows_at
from nlareport.run.recorded_checkpoints import read_making
from nlareport.run.tagging import ask_tags, has_queries, tags_not_asked
from nlareport.run.vector_origins import activations_of, reconstructions_of
from nlareport.stages import reconstruct
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.draw_folding import of_draw
from nlareport.statistics.geometry import Centred, centre
from nlareport.statistics.graded_subsets import atypicalities
from nlareport.statistics.identification import CentredGolds, resemble
from nlareport.statistics.run_summary import ItemRows, summarize_run, summarize_tags
from nlareport.statistics.scores import measure_pair, null_scores, score_cell


def score_run(work: Work) -> None:
    """Reconstructions to scores, nulls, baselines, cells and claims.

    Raises:
        RunIncomplete: an earlier stage has not finished.
    """
    items = work.items()
    n_cells = len(work.experiment.sources) * len(work.experiment.targets)
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
    measured = [_measured(pair, golds.get(pair.pair_id)) for pair in work.run_file.rows(Pair)]
    pairs = sorted(measured, key=lambda pair: pair.ordinal)
    centred = {pair_id: centre(gold.vectors) for pair_id, gold in golds.items()}
    draws = _draws(work, pairs, items, golds)
    read = _read_cells(work, pairs, golds, centred, draws)
    elsewhere = [row for row in work.run_file.rows(Activation) if row.pair_id in work.kept.elsewhere]
    atypical = [row for pair_id, gold in golds.items() for row in atypicalities(gold, centred[pair_id])]
    activations = elsewhere + atypical
    rows = ItemRows(
        pairs,
        items,
        draws,
        scores=read.scores,
        null_scores=read.null_scores,
        resemblances=read.resemblances,
        explanations=read.explanations,
        alignments=work.run_file.rows(Alignment),
        activations=activations,
        tags=tags_not_asked(work),
        ablations=work.run_file.rows(Ablation),
        ablated=find_ablated(work, items),
        others_cosines=read.others_cosines,
        reducer=work.experiment.scoring.reducer,
    )
    baselines, curves = score_baselines(work, pairs, items, rows.item_scores, centred, draws)
    _store(work, rows, {Baseline: baselines, LearningCurve: curves})
    if has_queries(work):
        tags = [*rows.tags, *ask_tags(work)]
        work.run_file.replace({Tag: tags, **summarize_tags(replace(rows, tags=tags))})


def _store(work: Work, rows: ItemRows, others: Mapping[type, Sequence[object]]) -> None:
    """Stores the rows that were scored, what follows from them, and `others`."""
    summary = summarize_run(rows)
    with work.run_file.transaction():
        if has_queries(work):
            # Until what they say of this scoring is in the cells too.
            work.unscore()
        work.run_file.put([replace(work.run_file.run(), reducer=rows.reducer)], rows.pairs, rows.judged_items)
        work.run_file.replace(
            {
                Score: rows.scores,
                NullScore: rows.null_scores,
                Resemblance: rows.resemblances,
                Activation: rows.activations,
                Tag: rows.tags,
                **others,
                **{row_type: found for row_type, found in summary.items() if row_type is not Item},
            }
        )


def _measured(pair: Pair, gold: ActivationBatch | None) -> Pair:
    if gold is None:
        return pair
    geometry = measure_pair(gold)
    return replace(pair, variance_nrm=geometry.variance_nrm, mean_norm=geometry.mean_norm)


def _draws(work: Work, pairs: list[Pair], items: list[Item], golds: dict[PairId, ActivationBatch]) -> DocumentDraws:
    """What every interval of the run is drawn from, V too unless the experiment holds it fixed."""
    scoring, seed = work.experiment.scoring, work.experiment.sampling.seed
    drawn = golds if scoring.variance == "resampled" else {}
    if drawn and work.kept.elsewhere:
        raise RunIncomplete(
            f"{work.run_file.path}: scoring.variance resampled draws V of every pair, and the activations of "
            f"{', '.join(sorted(work.kept.elsewhere))} are not here; say variance: fixed, or give another --db."
        )
    return DocumentDraws.of(items, scoring.bootstrap_draws, seed, pairs, drawn)


@dataclass(frozen=True, slots=True)
class _ReadCells:
    """What is measured of reconstructions, cell by cell, and the explanations that were reconstructed."""

    explanations: list[Explanation]
    scores: list[Score] = field(default_factory=list)
    null_scores: list[NullScore] = field(default_factory=list)
    resemblances: list[Resemblance] = field(default_factory=list)
    others_cosines: dict[CellKey, float | None] = field(default_factory=dict)


def _read_cells(
    work: Work,
    pairs: list[Pair],
    golds: dict[PairId, ActivationBatch],
    centred: dict[PairId, Centred],
    draws: DocumentDraws,
) -> _ReadCells:
    """All that needs a cell's reconstructions, which are read once, one draw of one cell at a time."""
    scoring, writings = work.experiment.scoring, work.writings()
    offering = [_offering(written, scoring.unclean) for written in writings]
    read = _ReadCells([row for written in writings for row in written.explanations])
    floors = defaultdict[CellKey, list[float]](list)
    for target in (pair for pair in pairs if pair.reads and pair.pair_id in golds):
        gold = golds[target.pair_id]
        others = CentredGolds(target.pair_id, gold.item_ids, draws.documents, centred[target.pair_id])
        for written, offered in zip(writings, offering, strict=True):
            source, draw = written.source, written.draw
            if work.kept.holds(source, target.pair_id):
                continue
            # The folder may hold answers to texts that no longer count: `scoring.unclean` can change.
            answers = among(reconstructions_of(work, written, target.pair_id), offered)
            cell, variance = (source, target.pair_id, gold, answers), target.variance_nrm or 0.0
            scores = score_cell(*cell, written.explanations, variance, scoring.unclean, written.marks)
            nulls = null_scores(*cell, draws.documents, scoring.permutations, draws.seed)
            found = resemble(source, others, answers)
            read.scores.extend(of_draw(scores, draw))
            read.null_scores.extend(of_draw(nulls, draw))
            read.resemblances.extend(of_draw(found.rows, draw))
            if found.others_cosine is not None:
                floors[CellKey(source, target.pair_id)].append(found.others_cosine)
    read.others_cosines.update({key: fmean(cosines) for key, cosines in floors.items()})
    _add_kept(work, read)
    return read


def _add_kept(work: Work, read: _ReadCells) -> None:
    """The rows of cells that are kept as they are."""
    if not work.kept.sources:
        return
    read.scores.extend(work.kept.among(work.run_file.rows(Score)))
    read.null_scores.extend(work.kept.among(work.run_file.rows(NullScore)))
    read.resemblances.extend(work.kept.among(work.run_file.rows(Resemblance)))
    for row in work.kept.among(work.run_file.rows(Measure)):
        if row.measure == "centred_cosine":
            read.others_cosines[CellKey(row.source, row.target)] = row.chance


def _offering(written: Writing, unclean: reconstruct.Unclean) -> set[int]:
    """The items of which a source wrote something that is scored."""
    marks = written.marks
    return {
        row.item_id
        for row in written.explanations
        if reconstruct.scorable_text(row, unclean, marks.get(row.item_id)) is not None
    }
