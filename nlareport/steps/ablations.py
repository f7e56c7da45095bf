"""The step nobody has to take: explanations changed on purpose and read again, and what each change takes.

It does nothing unless the experiment lists `ablations`. Answers are stored batch by batch like those of any step
that opens a model; what they come to is worked out with the scores.
"""

from collections import defaultdict

import numpy as np
from jaxtyping import Float64

from nlareport.experiment import PairSpec
from nlareport.resampling import document_codes
from nlareport.rows import Ablation, AblationCell, AblationMethod, Explanation, Item, Pair, PairId, Score
from nlareport.stages import ablate, drop, reconstruct
from nlareport.steps.models import READING_BATCHES
from nlareport.steps.work import Work, rows_at, unfinished

Batch = tuple[PairId, AblationMethod, list[Explanation]]
VarianceDraws = dict[PairId, Float64[np.ndarray, " draw"]]


def ablate_explanations(work: Work) -> None:
    """Readable explanations, changed in every way the experiment lists, to errors; one reconstructor at a time.

    Raises:
        RunIncomplete: an explanation's activation is not here.
        CheckpointDrift: a reconstructor's vectors and the activations differ in width.
    """
    if not work.experiment.ablations:
        return
    for target, spec in work.pairs:
        n_total, todo = _outstanding(work, target)
        work.progress.stage(f"ablate {target}", n_total, n_total - sum(len(batch) for _, _, batch in todo))
        if todo:
            _ablate_batches(work, target, spec, todo)


def n_outstanding(work: Work) -> int:
    """How many changed explanations have not been read yet; 0 when the experiment asks for none."""
    return sum(len(batch) for target, _ in work.pairs for _, _, batch in _outstanding(work, target)[1])


def summarize_ablations(
    work: Work,
    pairs: list[Pair],
    items: list[Item],
    scores: list[Score],
    variance_draws: VarianceDraws | None,
) -> list[AblationCell]:
    """One row per method the experiment lists and cell whose texts were changed, in the pairs' order.

    Raises:
        TooFewItems: a pair's V is 0.
    """
    if not work.experiment.ablations:
        return []
    scoring, seed = work.experiment.scoring, work.experiment.sampling.seed
    document_of = dict(
        zip([item.item_id for item in items], document_codes([item.doc_id for item in items]).tolist(), strict=True)
    )
    rows: dict[tuple[PairId, PairId, str], list[Ablation]] = defaultdict(list)
    for row in work.run_file.rows(Ablation):
        rows[row.source, row.target, row.method].append(row)
    return [
        drop.ablation_cell(
            source.pair_id,
            target.pair_id,
            method,
            ordinal,
            [row for row in scores if (row.source, row.target) == (source.pair_id, target.pair_id)],
            rows[source.pair_id, target.pair_id, method],
            _texts(work, source.pair_id),
            target.variance_nrm or 0.0,
            document_of,
            scoring.bootstrap_draws,
            seed,
            None if variance_draws is None else variance_draws[target.pair_id],
        )
        for source in pairs
        for target in pairs
        if ablate.is_ablated(source.pair_id, target.pair_id)
        for ordinal, method in enumerate(work.experiment.ablations)
    ]


def _outstanding(work: Work, target: PairId) -> tuple[int, list[Batch]]:
    """How many changed texts a target's reconstructor is to read in all, and those it has not read."""
    stored = {(row.source, row.method, row.item_id) for row in work.run_file.rows(Ablation) if row.target == target}
    size = work.experiment.compute.batch_size * READING_BATCHES
    n_total, todo = 0, []
    for source, _ in work.pairs:
        if not ablate.is_ablated(source, target):
            continue
        texts = _texts(work, source)
        readable = [row for row in work.explanations(source) if row.item_id in texts]
        for method in work.experiment.ablations:
            n_total += len(readable)
            missing = {item_id for item_id in texts if (source, method, item_id) not in stored}
            todo += [(source, method, batch) for batch in unfinished(readable, missing, size)]
    return n_total, todo


def _ablate_batches(work: Work, target: PairId, spec: PairSpec, todo: list[Batch]) -> None:
    gold = work.activations.read_activations(target)
    seed = work.experiment.sampling.seed
    texts = {source: _texts(work, source) for source in {source for source, _, _ in todo}}
    with work.engine.reconstructor(spec) as reconstructor:
        for source, method, batch in todo:
            rows = ablate.ablate(texts[source], source, method, rows_at(gold, batch), seed, reconstructor)
            work.run_file.append(rows)
            work.progress.advance(len(rows))


def _texts(work: Work, source: PairId) -> dict[int, str]:
    """What a source wrote, by item, where there is something to read."""
    unclean = work.experiment.scoring.unclean
    found = {row.item_id: reconstruct.scorable_text(row, unclean) for row in work.explanations(source)}
    return {item_id: text for item_id, text in found.items() if text is not None}
