"""Measures the time and peak memory of measures and baselines on synthetic activations, without models.

python benchmarks/trust.py --items 2000 --pairs 4 --d-model 8192
"""

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import yaml
from jaxtyping import Int64

from nlareport.backends import load_engines
from nlareport.batches import ActivationBatch
from nlareport.engine_options import EngineChoice, EngineSettings
from nlareport.executors.local import LocalExecutor
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.rows.cell_rows import CellKey, Effect, Measure
from nlareport.rows.item_rows import Activation, Alignment, Item, PlainReading, Score
from nlareport.rows.run_rows import Pair, PairId
from nlareport.run import identity
from nlareport.run.baseline_scoring import score_baselines
from nlareport.run.context import Work
from nlareport.statistics.cells import summarize
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.geometry import Centred, centre
from nlareport.statistics.graded_subsets import atypicalities
from nlareport.statistics.identification import CellResemblance, CentredGolds, resemble
from nlareport.statistics.run_summary import ItemRows, summarize_run
from nlareport.statistics.scores import measure_pair
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.run_file import RunFile
from nlareport.store.vectors.activations import ActivationStore

ALLOWED_S = 30.0
ALLOWED_GB = 2.0
PLAIN_WORDS = [8, 16, 32]
DRAWS = 10_000
N_CONCEPTS = 400
"""Directions all pairs share, so that a linear map has something to find."""


class Silence:
    """Progress nobody hears."""

    def stage(self, name: str, n_total: int, n_done: int) -> None: ...

    def advance(self, n: int) -> None: ...


def experiment_text(n_items: int, names: list[str], d_model: int) -> str:
    pairs = [
        {"pair_id": name, "label": name, "family": name, "base_model": name, "block_index": 1, "d_model": d_model,
         "verbalizer": name, "reconstructor": name}
        for name in names
    ]  # fmt: skip
    content = {
        "experiment": "trust",
        "title": "Synthetic",
        "corpus": {"kind": "local", "name": "none", "path": "none"},
        "sampling": {"seed": 1, "n_items": n_items, "reference_pair": names[0]},
        "plain_words": PLAIN_WORDS,
        "pairs": pairs,
    }
    return yaml.safe_dump(content)


def activations(names: list[PairId], n_items: int, d_model: int) -> dict[PairId, ActivationBatch]:
    """Each pair's own view of the same concepts, with noise and a common direction as large as Gemma's."""
    generator = np.random.default_rng(0)
    concepts = generator.standard_normal((n_items, N_CONCEPTS), dtype=np.float32)
    found = {}
    for name in names:
        vectors = concepts @ generator.standard_normal((N_CONCEPTS, d_model), dtype=np.float32)
        vectors += 10 * generator.standard_normal(vectors.shape, dtype=np.float32)
        vectors += 60 * generator.standard_normal(d_model, dtype=np.float32)
        found[name] = ActivationBatch(name, np.arange(n_items), vectors)
    return found


def pair_rows(golds: dict[PairId, ActivationBatch]) -> list[Pair]:
    rows = []
    for ordinal, (name, gold) in enumerate(golds.items()):
        found = measure_pair(gold)
        width = gold.vectors.shape[1]
        rows.append(
            Pair(name, name, name, name, 1, width, None, None, found.variance_nrm, found.mean_norm, None, ordinal)
        )
    return rows


def measured(what: str, call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its seconds, once its cost is told."""
    started, on_cpu = time.perf_counter(), time.process_time()
    answer = call()
    wall, cpu = time.perf_counter() - started, time.process_time() - on_cpu
    click.echo(f"{what}: {wall:.1f} s, {cpu:.1f} s of processor; peak so far {peak_gb():.2f} GB")
    return answer, wall


def peak_gb() -> float:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def resemblances(
    golds: dict[PairId, ActivationBatch], centred: dict[PairId, Centred], documents: Int64[np.ndarray, " item"]
) -> tuple[dict[CellKey, CellResemblance], float]:
    """Every cell beside its target's golds, and the seconds that took: scoring has the vectors at hand anyway."""
    generator = np.random.default_rng(1)
    found, wall = {}, 0.0
    for target, gold in golds.items():
        others = CentredGolds(target, gold.item_ids, documents, centred[target])
        for source in golds:
            # As much noise as signal.
            noise = generator.standard_normal(gold.vectors.shape, dtype=np.float32)
            answers = replace(gold, vectors=gold.vectors + gold.vectors.std() * noise)
            started = time.perf_counter()
            found[CellKey(source, target)] = resemble(source, others, answers)
            wall += time.perf_counter() - started
    click.echo(f"resemblances: {wall:.1f} s; peak so far {peak_gb():.2f} GB")
    return found, wall


@click.command()
@click.option("--items", "n_items", default=2_000, show_default=True)
@click.option("--pairs", "n_pairs", default=4, show_default=True)
@click.option("--d-model", default=8_192, show_default=True)
def main(n_items: int, n_pairs: int, d_model: int) -> None:
    names = [PairId(f"pair{number}") for number in range(n_pairs)]
    golds = activations(names, n_items, d_model)
    pairs = pair_rows(golds)
    items = [Item(number, f"d:{number}", 1, "word", None, "prose", is_outlier=False) for number in range(n_items)]
    scores = [Score(item.item_id, source, target, 0.5, 0.5) for source in names for target in names for item in items]
    norms = {name: np.linalg.norm(gold.vectors, axis=1).tolist() for name, gold in golds.items()}
    places = [Alignment(n, name, 50 + n, 0, norm) for name in names for n, norm in enumerate(norms[name])]
    text = experiment_text(n_items, list(names), d_model)
    experiment = parse_experiment(text, Path("trust.yaml"))
    choice = EngineChoice.parse(["scripted"])
    engines = load_engines(choice, EngineSettings("cpu", "float32", 16, 60))
    with TemporaryDirectory() as folder:
        db = Path(folder) / "trust.duckdb"
        run = identity.describe_run(experiment, text, SCHEMA_VERSION, engines, datetime.now(UTC), [])
        with RunFile.create_or_open(db, run) as run_file:
            readings = [
                PlainReading(item.item_id, name, n, 0.5) for name in names for n in PLAIN_WORDS for item in items
            ]
            run_file.replace({PlainReading: readings})
            store = ActivationStore(db)
            reference, executor = experiment.pairs[0], LocalExecutor()
            work = Work(experiment, reference, Path(folder), run_file, store, engines, executor, Silence())
            draws = DocumentDraws.of(items, DRAWS, experiment.sampling.seed, pairs)
            before = peak_gb()
            centred, centring = measured(
                "centring", lambda: {name: centre(gold.vectors) for name, gold in golds.items()}
            )
            found, grading = measured(
                "atypicalities",
                lambda: [row for name, gold in golds.items() for row in atypicalities(gold, centred[name])],
            )
            beside, resembling = resemblances(golds, centred, np.arange(n_items))
            rows = ItemRows(
                pairs,
                items,
                draws,
                scores=scores,
                resemblances=[row for cell in beside.values() for row in cell.rows],
                alignments=places,
                activations=found,
                others_cosines={key: cell.others_cosine for key, cell in beside.items()},
            )
            summary, summing = measured("cells, grades and measures", lambda: summarize_run(rows))
            _, without = measured("cells without grades", lambda: summarize(pairs, items, scores, [], draws))
            (baselines, _), fitting = measured(
                "baselines", lambda: score_baselines(work, pairs, items, scores, centred, draws)
            )
            measures = {Measure: summary[Measure], Effect: summary[Effect], Activation: found}
            _, storing = measured("storing", lambda: run_file.replace(measures))
    # What there was before grades and measures is left out: cells over the subsets that every target shares.
    wall = centring + summing - without + storing + grading + resembling + fitting
    added = peak_gb() - before
    held = "holds" if wall <= ALLOWED_S and added <= ALLOWED_GB else "FAILS"
    ridge = [row.fve_nrm for row in baselines if row.method == "ridge"]
    click.echo(f"linear maps score {min(ridge):.3f} or more")
    click.echo(f"in all {wall:.1f} s (allowed {ALLOWED_S:.0f}) and {added:+.2f} GB (allowed {ALLOWED_GB:+.0f}): {held}")


if __name__ == "__main__":
    main()
