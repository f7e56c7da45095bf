"""Makes up finished runs of one to four pairs for tests of pages, queries and checks; names the published figures."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median

from nlareport.checkpoints.answers import ANSWER_RULE
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, LearningCurve
from nlareport.rows.item_rows import Alignment, Explanation, Finish, Item, Mark, NullScore, Score, stratum_of
from nlareport.rows.run_rows import Document, Pair, PairId, Run
from nlareport.stages.verbalize import judge_again
from nlareport.store.migrations import SCHEMA_VERSION
from nlareport.store.run_file import create_run_file
from support.made_measures import look_rows, measure_rows

PUBLISHED = Path(__file__).parents[2] / "data" / "published" / "18-cross-family.yaml"

EXPERIMENT = """\
experiment: pocket
title: "Two pocket pairs read each other"
series:
  name: NLA experiments
  number: 19
corpus:
  kind: pocket
  first_index: 0
  last_index: 199
sampling:
  seed: 1018
  n_items: 120
  positions_per_document: 1
  truncation_tokens: 512
  reference_pair: smollm2-L20
decoding:
  max_new_tokens: 160
scoring:
  unclean: unscored
pairs:
  - {pair_id: smollm2-L20, label: SmolLM2-135M, family: smollm, base_model: HuggingFaceTB/SmolLM2-135M-Instruct,
     block_index: 20, d_model: 576, verbalizer: "pocket:smollm2-L20/av", reconstructor: "pocket:smollm2-L20/ar"}
  - {pair_id: qwen05-L16, label: Qwen2.5-0.5B, family: qwen, base_model: Qwen/Qwen2.5-0.5B-Instruct,
     block_index: 16, d_model: 896, verbalizer: "pocket:qwen05-L16/av", reconstructor: "pocket:qwen05-L16/ar"}
"""

PAIRS = [
    Pair(PairId("smollm2-L20"), "SmolLM2-135M", "smollm", "HuggingFaceTB/SmolLM2-135M-Instruct", 20, 576, 59.87, None,
         0.4117, 0.767, 0.4302, 0),
    Pair(PairId("qwen05-L16"), "Qwen2.5-0.5B", "qwen", "Qwen/Qwen2.5-0.5B-Instruct", 16, 896, None, None,
         0.6893, 0.5574, None, 1),
]  # fmt: skip

MORE_PAIRS = [
    Pair(PairId("gemma270-L9"), "Gemma-3-270M", "gemma", "google/gemma-3-270m-it", 9, 640, 21000.0, None,
         0.0712, 0.9637, None, 2),
    Pair(PairId("gemma270-L14"), "Gemma-3-270M deep", "gemma", "google/gemma-3-270m-it", 14, 640, 35000.0, None,
         0.0544, 0.9724, None, 3),
]  # fmt: skip
"""For a run of three or four pairs."""

TOKENS = [" minister", ",", " 2019", " said", " the", ".", " growth", "7", " Reuters", " league"]
LEVELS = {(0, 0): 0.62, (0, 1): 0.31, (1, 0): 0.27, (1, 1): 0.58}
OTHER_LEVEL = 0.44
PERFECT = 1.0
BUDGET = 160
ODD_ANSWERS: dict[Mark, tuple[str, Finish]] = {
    "no_tag": ("The passage reports quarterly figures.", "stop"),
    "misspelt_tag": ("<Explanation>The passage reports quarterly figures.</explanation>", "stop"),
    "unopened_tag": ("The passage reports quarterly figures.</explanation>", "stop"),
    "unclosed_tag": ("<explanation>The passage reports quarterly figures.</h2>", "stop"),
    "budget": ("<explanation>The passage reports quarterly figures of a listed", "length"),
    "empty": ("<explanation>\n</explanation>", "stop"),
    "overrun": ("<explanation>\nQuarterly figures.\n</explanation> Quarterly figures. Quarterly", "length"),
}
"""One of each mark, with how it ended."""
DROPS = {
    "words_shuffled": 0.153, "quotes_kept": 0.204, "quotes_blanked": 0.402, "digits_masked": 0.003,
    "last_16_tokens": 0.107, "last_8_tokens": 0.135, "first_8_tokens": 0.31, "first_16_tokens": 0.27,
}  # fmt: skip
"""What each change takes from every cell of the first target; 0.01 more from the next one's."""
SENTENCES = [
    "News-agency report in a formal register, covering a cabinet reshuffle and its effect on the governing coalition.",
    'The sentence "the prime minister told reporters on Tuesday that" signals attributed speech by an official source.',
    'Final token ends a noun phrase mid-clause, strongly expecting a verb such as "said", "announced" or "denied".',
    "Sports column summarising a league match, with scores, names of players and the standing of both clubs.",
    "Business pages: quarterly figures of a listed company, growth against the previous year, and an outlook.",
]


def write_computed_run(
    path: Path,
    *,
    n_items: int = 120,
    pairs: int = 2,
    hostile: str | None = None,
    seed: int = 7,
    with_measures: bool = True,
    with_marks: bool = False,
) -> Path:
    """A finished run of one to four pairs: outliers, strata, unclean answers, nulls, baselines, ablations, skips.

    Another seed gives other answers and scores for the same items. Without measures it is as an older version would
    have left it. With marks its answers were judged by the rule of this version, and the first pair's first items are
    odd in every way there is.
    """
    chosen = [*PAIRS, *MORE_PAIRS][:pairs]
    rng = random.Random(seed)
    items = [_item(number, hostile) for number in range(n_items)]
    explanations = [_explanation(item, pair, rng, hostile) for item in items for pair in chosen]
    run, marks = run_row(), []
    if with_marks:
        run = replace(run, environment={**run.environment, "answer_rule": ANSWER_RULE})
        said = judge_again([_made_odd(row, chosen[0]) for row in explanations], BUDGET)
        explanations, marks = said.explanations, said.marks
    clean = {(row.item_id, row.source) for row in explanations if row.is_clean}
    scores = [
        _score(item, s, t, chosen, rng, (item.item_id, chosen[s].pair_id) in clean)
        for item in items
        for s in range(pairs)
        for t in range(pairs)
    ]
    documents = [Document(item.doc_id, "pocket:news", item.item_id, 2400) for item in items]
    skipped = [
        Document(f"pocket:news:{9000 + n}", "pocket:news", 9000 + n, 80, "too short for 50 tokens") for n in range(7)
    ]
    alignments, cells = _alignments(items, chosen, rng), _cells(items, scores, chosen)
    create_run_file(
        path, run, chosen, documents + skipped, items, alignments, explanations, marks, scores, _nulls(items, chosen),
        cells, _baselines(chosen), _learning_curves(chosen), _ablation_cells(chosen),
        *(measure_rows(items, chosen, alignments, scores, cells) if with_measures else []),
        *(look_rows(items, chosen, explanations) if with_measures else []),
    )  # fmt: skip
    return path


def run_row() -> Run:
    return Run(
        run_id="pocket",
        title="Two pocket pairs read each other",
        series_name="NLA experiments",
        series_number=19,
        kind="computed",
        experiment_yaml=EXPERIMENT,
        nlareport_version="0.1.0",
        schema_version=SCHEMA_VERSION,
        seed=1018,
        created_at=datetime(2025, 11, 22, 18, 40, tzinfo=UTC),
        environment={
            "device": "cpu",
            "dtype": "float32",
            "batch_size": 16,
            "versions": {"python": "3.12.3", "torch": "2.13.0", "transformers": "5.23.1", "duckdb": "2.0.0"},
            "checkpoints": {"smollm2-L20/av": {"sha256": "9f2c" * 16}, "qwen05-L16/ar": {"sha256": "07be" * 16}},
        },
    )


def _item(number: int, hostile: str | None) -> Item:
    token = TOKENS[number % len(TOKENS)]
    context = (
        "The talks, which had been delayed twice since the spring, ended without agreement late on Monday. Officials "
        "from both delegations blamed the other side & left the building through separate doors; a spokesman for the"
        f"{hostile or ''}{token}"
    )
    return Item(number, f"pocket:news:{number}", 700 + number, token, context, stratum_of(token), number in (11, 64))


def _explanation(item: Item, pair: Pair, rng: random.Random, hostile: str | None) -> Explanation:
    text = " ".join(rng.sample(SENTENCES, 3)) + (hostile or "")
    if (item.item_id + pair.ordinal) % 37 == 36:
        return Explanation(item.item_id, pair.pair_id, None, f"<explanation>\n{text}", 160, "length", False)
    whole = f"<explanation>\n{text}\n</explanation>"
    return Explanation(item.item_id, pair.pair_id, text, whole, 70 + item.item_id % 50, "closed", True)


def _made_odd(row: Explanation, pair: Pair) -> Explanation:
    """The answer as one that bears the mark of its item's place in `ODD_ANSWERS`, where the pair is this one."""
    if row.source != pair.pair_id or row.item_id >= len(ODD_ANSWERS):
        return row
    completion, finish = list(ODD_ANSWERS.values())[row.item_id]
    return replace(row, completion=completion, n_tokens=BUDGET if finish == "length" else 40, finish=finish)


def _score(item: Item, s: int, t: int, pairs: list[Pair], rng: random.Random, is_clean: bool) -> Score:
    source, target = pairs[s].pair_id, pairs[t].pair_id
    if not is_clean:
        return Score(item.item_id, source, target, None, None, "explanation not closed within 160 tokens")
    fve = LEVELS.get((s, t), OTHER_LEVEL) + rng.gauss(0, 0.14) + (0.25 if item.item_id == 3 and s == t else 0.0)
    if item.is_outlier:
        fve = 0.995 if s == t else -3.4
    if item.stratum == "digits":
        fve -= 0.1
    fve = min(fve, PERFECT)
    variance = pairs[t].variance_nrm or 1.0
    return Score(item.item_id, source, target, (1 - fve) * variance, fve)


def _alignments(items: list[Item], pairs: list[Pair], rng: random.Random) -> list[Alignment]:
    return [
        Alignment(
            item.item_id,
            pair.pair_id,
            (50 if pair.ordinal == 0 else 47) + item.item_id % 90,
            int(pair.ordinal == 1 and item.item_id % 20 == 0),
            (900.0 if item.is_outlier else 38.0) + rng.random(),
        )
        for item in items
        for pair in pairs
    ]


def _nulls(items: list[Item], pairs: list[Pair]) -> list[NullScore]:
    """Every item alike, so that their mean is that of every subset: the `null_fve` of the cells."""
    return [
        NullScore(item.item_id, s.pair_id, t.pair_id, 0, (1 - _null_fve(s, t)) * (t.variance_nrm or 1.0))
        for item in items
        for s in pairs
        for t in pairs
    ]


def _null_fve(source: Pair, target: Pair) -> float:
    return -0.88 if source is target else -0.61


def _cells(items: list[Item], scores: list[Score], pairs: list[Pair]) -> list[Cell]:
    members = {"all": items, "without_outliers": [item for item in items if not item.is_outlier]}
    for item in items:
        members.setdefault(item.stratum, []).append(item)
    by_cell = {(row.item_id, row.source, row.target): row.fve_nrm for row in scores}
    cells = []
    for subset, group in members.items():
        diagonal = {p.pair_id: _mean(by_cell, group, p, p) for p in pairs}
        for source in pairs:
            for target in pairs:
                values = sorted(_values(by_cell, group, source, target))
                if not values:
                    continue
                tenth = len(values) // 10
                fve = mean(values)
                cells.append(
                    Cell(
                        source.pair_id, target.pair_id, subset, len(values), len(group) - len(values),
                        fve, fve - 0.031, fve + 0.029, fve - 0.02, median(values),
                        mean(values[tenth : len(values) - tenth]), sum(v < 0 for v in values) / len(values),
                        _null_fve(source, target), fve / diagonal[target.pair_id],
                    )
                )  # fmt: skip
    return cells


def _values(by_cell: dict, group: list[Item], source: Pair, target: Pair) -> list[float]:
    found = (by_cell[item.item_id, source.pair_id, target.pair_id] for item in group)
    return [value for value in found if value is not None]


def _mean(by_cell: dict, group: list[Item], source: Pair, target: Pair) -> float:
    return mean(_values(by_cell, group, source, target))


def _baselines(pairs: list[Pair]) -> list[Baseline]:
    cells = [(s.pair_id, t) for s in pairs for t in pairs]
    return [
        *(Baseline(s, t.pair_id, "best_constant", -0.132 - 0.055 * t.ordinal, -0.151, -0.118) for s, t in cells),
        *(Baseline(s, t.pair_id, "nearest_neighbour", 0.02, -0.01, 0.05) for s, t in cells),
        *(Baseline(s, t.pair_id, "ridge", 0.12, 0.09, 0.15) for s, t in cells if s != t.pair_id),
        *(Baseline(s, t.pair_id, "last_32_words", 0.79, 0.77, 0.81) for s, t in cells),
        *(Baseline(s, t.pair_id, "last_8_words", 0.71, 0.69, 0.73) for s, t in cells),
    ]


def _learning_curves(pairs: list[Pair]) -> list[LearningCurve]:
    return [
        LearningCurve(s.pair_id, t.pair_id, "ridge", n_items, level, level - 0.03, level + 0.03)
        for s in pairs
        for t in pairs
        for n_items, level in ((12, -0.08), (48, 0.03), (96, 0.12))
        if s is not t
    ]


def _ablation_cells(pairs: list[Pair]) -> list[AblationCell]:
    return [
        AblationCell(
            source.pair_id, target.pair_id, method, ordinal, 117, 0.5 - drop, 0.46 - drop, 0.54 - drop,
            drop + 0.01 * target.ordinal, drop - 0.021, drop + 0.023,
        )
        for source in pairs
        for target in pairs
        for ordinal, (method, drop) in enumerate(DROPS.items())
    ]  # fmt: skip
