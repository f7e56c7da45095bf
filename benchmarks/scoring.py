"""Measures the time of a run's arithmetic (scores, nulls, cells, measures) on synthetic vectors, without models.

python benchmarks/scoring.py --items 2000 --pairs 4 --d-model 8192
"""

import resource
import time

import click
import numpy as np

from nlareport.batches import ActivationBatch
from nlareport.rows.cell_rows import CellKey
from nlareport.rows.item_rows import Explanation, Item, NullScore, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.statistics.additive_effects import effects
from nlareport.statistics.ceiling_fractions import ceiling_measures
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.drawn_cells import draw_cells
from nlareport.statistics.geometry import centre
from nlareport.statistics.identification import CentredGolds, measure_cells, resemble
from nlareport.statistics.scores import measure_pair, null_scores, score_cell


def batch(pair_id: PairId, vectors: np.ndarray) -> ActivationBatch:
    return ActivationBatch(pair_id, np.arange(len(vectors)), vectors)


@click.command()
@click.option("--items", "n_items", default=2_000, show_default=True)
@click.option("--pairs", "n_pairs", default=4, show_default=True)
@click.option("--d-model", default=8_192, show_default=True)
@click.option("--draws", default=10_000, show_default=True)
def main(n_items: int, n_pairs: int, d_model: int, draws: int) -> None:
    generator = np.random.default_rng(0)
    ids = [PairId(f"pair{number}") for number in range(n_pairs)]
    items = [Item(number, f"d:{number}", 1, "word", None, "prose", is_outlier=False) for number in range(n_items)]
    documents = np.arange(n_items)
    texts = [Explanation(number, ids[0], "text", None, 1, "closed", is_clean=True) for number in range(n_items)]
    pairs: list[Pair] = []
    scores: list[Score] = []
    nulls: list[NullScore] = []
    rows, floors, resembling = {}, {}, 0.0
    started = time.perf_counter()
    for ordinal, target in enumerate(ids):
        gold = batch(target, generator.standard_normal((n_items, d_model), dtype=np.float32) + 1)
        found = measure_pair(gold)
        pairs.append(
            Pair(target, target, "f", "m", 1, d_model, None, None, found.variance_nrm, found.mean_norm, None, ordinal)
        )
        begun = time.perf_counter()
        centred = CentredGolds(target, gold.item_ids, documents, centre(gold.vectors))
        resembling += time.perf_counter() - begun
        for source in ids:
            answer = batch(target, gold.vectors + generator.standard_normal(gold.vectors.shape, dtype=np.float32))
            scores += score_cell(source, target, gold, answer, texts, found.variance_nrm, "unscored")
            nulls += null_scores(source, target, gold, answer, documents, 1, 0)
            begun = time.perf_counter()
            found_here = resemble(source, centred, answer)
            key = CellKey(source, target)
            rows[key], floors[key] = found_here.rows, found_here.others_cosine
            resembling += time.perf_counter() - begun
    scored = time.perf_counter() - resembling
    drawn_from = DocumentDraws.of(items, draws, 0, pairs)
    cells = summarize(pairs, items, scores, nulls, drawn_from)
    done = time.perf_counter() - resembling
    drawn = draw_cells(scores, drawn_from)
    n_measures = len(measure_cells(rows, floors, drawn_from) + ceiling_measures(drawn))
    effects(ids, drawn.values, drawn.drawn)
    related = time.perf_counter() - resembling
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    click.echo(
        f"{n_items} items, {n_pairs} pairs, d {d_model}: scores and nulls {scored - started:.1f} s, "
        f"{len(cells)} cells {done - scored:.1f} s, resemblances {resembling:.1f} s, {n_measures} measures and effects "
        f"{related - done:.1f} s, peak {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
