"""Compares two runs: asks both run files the same queries, and finds what they share and where they differ.

Takes two readers, returns a `Comparison`. The files themselves stay as they are.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import polars as pl

from nlareport.comparison import AskedBoth, Comparison, ItemDifference, ProtocolDifference, RunSide, SharedItems
from nlareport.errors import NothingToCompare
from nlareport.ports import Row, RunReader
from nlareport.review import cell_differences, protocol_differences, shared_items
from nlareport.rows.cell_rows import Cell
from nlareport.rows.run_rows import Pair, PairId, Run

DRAWS = 10_000
SEED = 0
"""Neither run's own: the drawn documents must not depend on which of the two is named first."""


@dataclass(slots=True)
class _BothRuns:
    """Two run files that are asked everything together; remembers what they were asked."""

    readers: tuple[RunReader, RunReader]
    asked: list[AskedBoth]

    def rows(self, row_type: type[Row], query: str) -> tuple[list[Row], list[Row]]:
        """The rows of a named query in A and in B."""
        answers = (self.readers[0].rows(row_type, query), self.readers[1].rows(row_type, query))
        self._note(query, answers)
        return answers

    def frames(self, query: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The answer of a named query in A and in B, as frames."""
        answers = (self.readers[0].frame(query), self.readers[1].frame(query))
        self._note(query, answers)
        return answers

    def _note(self, query: str, answers: tuple[Sized, Sized]) -> None:
        text = self.readers[0].sql(query).strip()
        self.asked.append(AskedBoth(query, text, len(answers[0]), len(answers[1])))


def compare_runs(a: RunReader, b: RunReader, draws: int = DRAWS) -> Comparison:
    """What the two runs share and where they differ.

    Raises:
        NothingToCompare: they share no pair, or no cell of shared pairs has a value in both.
        ExperimentInvalid: the experiment file inside a run has faults.
    """
    both = _BothRuns((a, b), [])
    (run_a,), (run_b,) = both.rows(Run, "diff_run")
    pairs_a, pairs_b = both.rows(Pair, "pair_table")
    ids_a, ids_b = ([pair.pair_id for pair in pairs] for pairs in (pairs_a, pairs_b))
    pair_ids = _shared_pairs((run_a, run_b), ids_a, ids_b)
    is_published = "published" in (run_a.kind, run_b.kind)
    measured, found, n_items = _measured(both, (pairs_a, pairs_b))
    # The items of a published page are those of its sample cards: chosen by their scores, so no sample of its run.
    shared = SharedItems(found.matched_by, found.frame.clear()) if is_published else found
    unpaired_because = _unpaired_because((run_a, run_b), shared)
    scales = [] if unpaired_because else cell_differences.target_scales(*measured, shared)
    cells, items = cell_differences.compare_cells(*measured, shared, scales, draws, SEED)
    if all(cell.difference is None for cell in cells):
        raise NothingToCompare(
            f"Runs {run_a.run_id} and {run_b.run_id} share pairs ({_listed(pair_ids)}) but no cell of theirs has a "
            'fve_nrm in both; finish them with "nlareport run", or state V of the pairs in a bundle\'s run.yaml.'
        )
    protocol = _protocol(both, (run_a, run_b), (pairs_a, pairs_b), pair_ids)
    return Comparison(
        a=RunSide(run_a.run_id, run_a.title, run_a.kind, n_items[0]),
        b=RunSide(run_b.run_id, run_b.title, run_b.kind, n_items[1]),
        matched_by=None if is_published else shared.matched_by,
        unpaired_because=unpaired_because,
        n_shared_items=len(shared.frame),
        n_shared_documents=shared.frame["document"].n_unique(),
        ambiguous=found.ambiguous,
        draws=draws,
        pairs=pair_ids,
        pairs_only_a=[pair_id for pair_id in ids_a if pair_id not in ids_b],
        pairs_only_b=[pair_id for pair_id in ids_b if pair_id not in ids_a],
        scales=scales,
        cells=cells,
        items=items,
        cards=_cards(measured, found) if is_published else None,
        n_cards=_n_cards((run_a, run_b), n_items),
        protocol=protocol,
        asked=both.asked,
    )


def _shared_pairs(runs: tuple[Run, Run], ids_a: list[PairId], ids_b: list[PairId]) -> list[PairId]:
    """The pairs that both runs measured, in A's order.

    Raises:
        NothingToCompare: there is none.
    """
    pair_ids = [pair_id for pair_id in ids_a if pair_id in ids_b]
    if not pair_ids:
        raise NothingToCompare(
            f"Runs {runs[0].run_id} and {runs[1].run_id} share no pair: one has {_listed(ids_a)}, the other "
            f"{_listed(ids_b)}. Pairs are matched by pair_id; give two runs that have one in common."
        )
    return pair_ids


def _protocol(
    both: _BothRuns, runs: tuple[Run, Run], pairs: tuple[list[Pair], list[Pair]], pair_ids: list[PairId]
) -> list[ProtocolDifference]:
    """What the two runs say differently of how they were made."""
    stated = [
        protocol_differences.stated_protocol(run, of_run, pair_ids)
        | protocol_differences.stated_choices(chosen.to_dicts(), pair_ids)
        for run, of_run, chosen in zip(runs, pairs, both.frames("choices"), strict=True)
    ]
    return protocol_differences.protocol_differences(*stated)


def _measured(
    both: _BothRuns, pairs: tuple[list[Pair], list[Pair]]
) -> tuple[tuple[cell_differences.Measured, cell_differences.Measured], SharedItems, tuple[int, int]]:
    """What both measured of the pairs they share, the items they share, and how many each holds."""
    cells, items = both.rows(Cell, "diff_cells"), both.frames("diff_items")
    scores, norms = both.frames("diff_scores"), both.frames("diff_norms")
    ids = [{pair.pair_id for pair in side} for side in pairs]
    sides = [
        cell_differences.Measured(
            [pair for pair in pairs[side] if pair.pair_id in ids[1 - side]],
            cells[side],
            scores[side],
            norms[side],
            len(items[side]),
        )
        for side in (0, 1)
    ]
    return (sides[0], sides[1]), shared_items.match_items(*items), (len(items[0]), len(items[1]))


def _cards(
    measured: tuple[cell_differences.Measured, cell_differences.Measured], found: SharedItems
) -> list[ItemDifference]:
    """The published sample items that the other run has too, known by their document and token."""
    # A page's row numbers are those of its own slice of the corpus.
    return [] if found.matched_by == "item_id" else cell_differences.compare_items(*measured, found)


def _n_cards(runs: tuple[Run, Run], n_items: tuple[int, int]) -> int:
    return min((n for run, n in zip(runs, n_items, strict=True) if run.kind == "published"), default=0)


def _unpaired_because(runs: tuple[Run, Run], shared: SharedItems) -> str | None:
    published = [name for name, run in zip("AB", runs, strict=True) if run.kind == "published"]
    if published:
        holds = "hold" if len(published) == 2 else "holds"
        return (
            f"{' and '.join(published)} {holds} published figures, not the scores of items, so no paired interval can "
            "be given; each run's own interval is shown with its value."
        )
    if shared.contradiction:
        return (
            f"The runs were matched by item number, because one of them names no documents, but "
            f"{shared.contradiction}: the numbers count different places, so no paired interval can be given."
        )
    if shared.frame.is_empty():
        return "The runs share no item, by document and token, so no paired interval can be given."
    return None


def _listed(pair_ids: Sequence[str]) -> str:
    return ", ".join(pair_ids) or "none"
