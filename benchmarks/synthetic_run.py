"""Writes a run file of any size with made-up texts and scores, for measuring and trying pages without models.

python benchmarks/synthetic_run.py --items 2000 --out /tmp/synthetic.duckdb

Items and contexts depend only on the number of items, answers and scores also on the seed, so two seeds give two runs
over the same documents.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import polars as pl
import yaml

from nlareport.experiment.experiment_file import Experiment, parse_experiment
from nlareport.files.yaml_files import text_of
from nlareport.rows.cell_rows import Baseline, Cell
from nlareport.rows.item_rows import Alignment, Explanation, Item, NullScore, Score, stratum_of
from nlareport.rows.run_rows import Document, Pair, Run
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.run_file import create_run_file

PROTOCOL = Path(__file__).parent.parent / "data" / "experiments" / "pocket.yaml"
"""The experiment whose protocol and pairs the run uses."""

VARIANCES = [0.41, 0.69, 0.27, 0.35]
OWN, SAME_FAMILY, CROSS_FAMILY = 0.74, 0.63, 0.55
TOKENS = [" minister", ",", " 2019", " said", " the", ".", " growth", "7", " Reuters", " league", " of", " patients"]
PLACES = ["Lisbon", "Ankara", "Leeds", "Osaka", "Nairobi", "Quito", "Tallinn", "Perth", "Lyon", "Busan", "Cork", "Oslo"]
WHO = [
    "officials", "the ministry", "researchers", "a spokesman", "the club", "regulators", "the company", "two witnesses",
    "the council", "farmers", "the central bank", "its editors", "surgeons", "the coach", "residents", "the jury",
]  # fmt: skip
DID = [
    "rejected the proposal", "delayed a decision", "published new figures", "confirmed the transfer",
    "denied the report", "opened an inquiry", "raised its forecast", "agreed on a date", "withdrew the offer",
    "cut the programme", "asked for more time", "won on appeal", "counted the votes again", "closed the northern line",
    "changed the dosage",
]  # fmt: skip
WHEN = ["late on Monday", "after 3 hours of talks", "for the second year", "in the spring of 2016", "before the vote",
        "despite earlier doubts", "as the rain stopped", "without giving a reason", "on page 214"]  # fmt: skip
REGISTERS = ["News-agency report in a formal register", "Encyclopaedic prose", "A forum post with advice to beginners",
             "Sports column in the past tense", "Product page with specifications", "Abstract of a clinical study",
             "Travel writing in the first person", "Legal text with numbered clauses"]  # fmt: skip
THEMES = ["a cabinet reshuffle", "quarterly figures of a listed company", "a league match and its standings",
          "a recipe and its quantities", "the history of a harbour town", "side effects of a common drug",
          "choosing a first guitar", "an appeal against a planning decision", "migration of sea birds"]  # fmt: skip
EXPECTED = ["a verb of saying", "a place name", "the object of the clause", "a figure with its unit",
            "a closing quotation", "a noun that ends the phrase", "a subordinate clause",
            "a new sentence about the same person"]  # fmt: skip


def experiment_text(n_items: int, seed: int) -> str:
    """The protocol with this run's number of items, without context readings and ablations."""
    content = yaml.safe_load(PROTOCOL.read_text(encoding="utf-8"))
    del content["ablations"], content["plain_words"]
    content["experiment"] = "synthetic"
    content["title"] = f"Synthetic run of {n_items:,} items: nothing here was measured"
    content["sampling"] |= {"n_items": n_items, "seed": seed}
    return text_of(content)


def run_row(experiment_yaml: str, seed: int) -> Run:
    title = yaml.safe_load(experiment_yaml)["title"]
    return Run(
        run_id="synthetic",
        title=title,
        series_name="Synthetic runs",
        series_number=seed,
        kind="computed",
        experiment_yaml=experiment_yaml,
        nlareport_version="0.1.0",
        schema_version=SCHEMA_VERSION,
        seed=seed,
        created_at=datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
        environment={"made_by": "benchmarks/synthetic_run.py", "device": "none"},
    )


def pair_rows(experiment: Experiment) -> list[Pair]:
    return [
        Pair(
            pair.pair_id, pair.label, pair.family, pair.base_model, pair.block_index, pair.d_model, None, None,
            VARIANCES[ordinal], 1 - VARIANCES[ordinal], VARIANCES[ordinal] + 0.02, ordinal,
        )
        for ordinal, pair in enumerate(experiment.pairs)
    ]  # fmt: skip


def sentence(rng: random.Random) -> str:
    return f"In {rng.choice(PLACES)} {rng.choice(WHO)} {rng.choice(DID)} {rng.choice(WHEN)}."


def item_frame(n_items: int) -> pl.DataFrame:
    rng = random.Random(1018)
    tokens = [rng.choice(TOKENS) for _ in range(n_items)]
    contexts = [
        f"{' '.join(sentence(rng) for _ in range(4))} According to {rng.choice(WHO)} who{token}" for token in tokens
    ]
    return pl.DataFrame(
        {
            "item_id": range(n_items),
            "doc_id": [f"synthetic:train:{number}" for number in range(n_items)],
            "char_end": [500 + number % 4_000 for number in range(n_items)],
            "token": tokens,
            "context": contexts,
            "stratum": [stratum_of(token) for token in tokens],
            "is_outlier": np.random.default_rng(1018).random(n_items) < 0.004,
        }
    )


def explanation_frames(items: pl.DataFrame, pairs: list[Pair], seed: int) -> Iterator[pl.DataFrame]:
    """One frame per source; about one answer in 70 ran out of tokens, one in 300 ended without the tag."""
    for pair in pairs:
        rng = random.Random(seed * 97 + pair.ordinal)
        texts = [_explanation(rng, context, token) for context, token in items.select("context", "token").iter_rows()]
        luck = np.array([rng.random() for _ in texts])
        finish = np.where(luck < 1 / 70, "length", np.where(luck < 1 / 70 + 1 / 300, "stop", "closed"))
        yield pl.DataFrame(
            {
                "item_id": items["item_id"],
                "source": [pair.pair_id] * len(texts),
                "text": [text if end == "closed" else None for text, end in zip(texts, finish, strict=True)],
                "completion": [
                    f"<explanation>\n{text}" + ("\n</explanation>" if end == "closed" else "")
                    for text, end in zip(texts, finish, strict=True)
                ],
                "n_tokens": np.where(finish == "length", 110, 55 + (luck * 50).astype(int)),
                "finish": finish,
                "is_clean": finish == "closed",
            }
        )


def _explanation(rng: random.Random, context: str, token: str) -> str:
    words = context.split()
    start = rng.randrange(len(words) - 6)
    return (
        f"{rng.choice(REGISTERS)}, on {rng.choice(THEMES)}.\n\n"
        f'The phrase "{" ".join(words[start : start + 5])}" sets up {rng.choice(EXPECTED)}.\n\n'
        f'Final token "{token.strip()}" continues {rng.choice(THEMES)}, so that {rng.choice(EXPECTED)} or '
        f'"{rng.choice(DID)}" comes next.'
    )


def level(source: Pair, target: Pair) -> float:
    if source.pair_id == target.pair_id:
        return OWN - 0.02 * target.ordinal
    return (SAME_FAMILY if source.family == target.family else CROSS_FAMILY) - 0.03 * source.ordinal


def cell_scores(items: pl.DataFrame, pairs: list[Pair], clean: dict[str, np.ndarray], seed: int) -> pl.DataFrame:
    """Every item in every cell: its own ease, the cell's level, noise; outliers fail off the diagonal alone."""
    generator = np.random.default_rng(seed)
    ease = np.random.default_rng(1018).normal(0, 0.1, len(items))
    outliers = items["is_outlier"].to_numpy()
    frames = []
    for source in pairs:
        for target in pairs:
            own = source.pair_id == target.pair_id
            fve = np.minimum(level(source, target) + ease + generator.normal(0, 0.09, len(items)), 0.99)
            fve = np.where(outliers, 0.995 if own else -3 - generator.random(len(items)), fve)
            is_clean = clean[source.pair_id]
            scored = pl.Series(is_clean)
            frames.append(
                pl.DataFrame(
                    {
                        "item_id": items["item_id"],
                        "source": [source.pair_id] * len(items),
                        "target": [target.pair_id] * len(items),
                        "fve_nrm": fve,
                        "mse_nrm": (1 - fve) * VARIANCES[target.ordinal],
                        "unscored_reason": np.where(is_clean, "", "the answer holds no closed explanation"),
                    }
                ).with_columns(
                    fve_nrm=pl.when(scored).then("fve_nrm"),
                    mse_nrm=pl.when(scored).then("mse_nrm"),
                    unscored_reason=pl.when(~scored).then("unscored_reason"),
                )
            )
    return pl.concat(frames)


def null_frame(scores: pl.DataFrame, seed: int) -> pl.DataFrame:
    scored = scores.drop_nulls("mse_nrm").select("item_id", "source", "target")
    mse = np.random.default_rng(seed + 1).normal(0.95, 0.08, len(scored))
    return scored.with_columns(pl.lit(0).alias("permutation"), pl.Series("mse_nrm", mse))


def alignment_frame(items: pl.DataFrame, pair: Pair) -> pl.DataFrame:
    generator = np.random.default_rng(pair.ordinal)
    norms = generator.lognormal(3.6 + 0.4 * pair.ordinal, 0.12, len(items))
    return items.select(
        "item_id",
        pl.lit(pair.pair_id).alias("pair_id"),
        pl.Series("token_index", 50 + generator.integers(0, 400, len(items))),
        pl.Series("char_error", (generator.random(len(items)) < 0.01).astype(int)),
        pl.Series("activation_norm", np.where(items["is_outlier"].to_numpy(), 16 * norms, norms)),
    )


def cells(items: pl.DataFrame, scores: pl.DataFrame, pairs: list[Pair]) -> list[Cell]:
    """The matrix of every subset, with normal intervals."""
    judged = scores.join(items.select("item_id", "stratum", "is_outlier"), on="item_id")
    subsets = {"all": judged, "without_outliers": judged.filter(~pl.col("is_outlier"))}
    subsets |= {name: judged.filter(pl.col("stratum") == name) for name in ("digits", "prose", "punctuation")}
    found = []
    for subset, rows in subsets.items():
        values = {key: group["fve_nrm"] for key, group in rows.group_by("source", "target")}
        for (source, target), fve in sorted(values.items()):
            known = fve.drop_nulls().sort()
            if len(known):
                ceiling = float(values[target, target].mean())
                found.append(_cell(source, target, subset, known, len(fve) - len(known), ceiling, pairs))
    return found


def _cell(source: str, target: str, subset: str, known: pl.Series, n_unscored: int, ceiling: float,
          pairs: list[Pair]) -> Cell:  # fmt: skip
    mean, half = float(known.mean()), 1.96 * float(known.std() or 0) / len(known) ** 0.5
    tenth = len(known) // 10
    variance = next(pair.variance_nrm for pair in pairs if pair.pair_id == target)
    return Cell(
        source, target, subset, len(known), n_unscored, mean, mean - half, mean + half, mean - 0.03,
        float(known.median()), float(known[tenth : len(known) - tenth].mean()), float((known < 0).mean()),
        1 - 0.95 / variance, mean / ceiling if ceiling > 0 else None,
    )  # fmt: skip


def rows_of_frame(row_type: type, frame: pl.DataFrame) -> list[object]:
    return [row_type(**row) for row in frame.iter_rows(named=True)]


def write_synthetic_run(path: Path, n_items: int, seed: int = 0) -> Path:
    """The run file at `path`, which must not exist."""
    text = experiment_text(n_items, seed)
    pairs = pair_rows(parse_experiment(text, path))
    items = item_frame(n_items)
    explanations = pl.concat(explanation_frames(items, pairs, seed))
    clean = {
        key[0]: group["is_clean"].to_numpy() for key, group in explanations.group_by("source", maintain_order=True)
    }
    scores = cell_scores(items, pairs, clean, seed)
    constants = [Baseline(s.pair_id, t.pair_id, "best_constant", -0.1, -0.12, -0.08) for s in pairs for t in pairs]
    documents = [Document(f"synthetic:train:{number}", "synthetic", number, 5_000) for number in range(n_items)]
    create_run_file(
        path,
        run_row(text, seed),
        pairs,
        documents,
        rows_of_frame(Item, items),
        *(rows_of_frame(Alignment, alignment_frame(items, pair)) for pair in pairs),
        rows_of_frame(Explanation, explanations),
        rows_of_frame(Score, scores),
        rows_of_frame(NullScore, null_frame(scores, seed)),
        cells(items, scores, pairs),
        constants,
    )
    return path


@click.command()
@click.option("--items", "n_items", default=2_000, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of answers and scores; items do not depend on it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(n_items: int, seed: int, out: Path) -> None:
    started = time.perf_counter()
    write_synthetic_run(out, n_items, seed)
    click.echo(f"{out}: {n_items} items in {time.perf_counter() - started:.1f} s, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
