"""Imports results in any layout through a map: JSON, CSV, Parquet and transcripts become the tables that a bundle has.

Takes a path and a map, returns the run as it is given; what follows from its rows is computed as for any bundle.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from nlareport.checkpoints.answers import judge_answer
from nlareport.errors import BundleInvalid
from nlareport.rows.given_rows import GivenScore
from nlareport.rows.item_rows import Ablation, Alignment, Explanation, Item, Score, Tag
from nlareport.statistics.row_baselines import mean_norm_of
from nlareport.statistics.score_definitions import DEFINITIONS, Definition, KnownOfTarget
from nlareport.store.bundle.added_rows import store_given
from nlareport.store.bundle.assembly import GivenRun, GivenTables, given_run
from nlareport.store.bundle.bundle_tables import Faults, checked_table
from nlareport.store.bundle.run_yaml import BundlePair, BundleRun
from nlareport.store.maps.map_file import ResultsMap, read_map
from nlareport.store.maps.mapped_rows import Gathered, GatheredScore, ScoreKey, draw_numbers, gather, item_numbers
from nlareport.store.maps.result_files import ResultFile, files_at, read_results
from nlareport.store.maps.transcripts import read_transcript
from nlareport.store.row_tables import frame_schema

NOT_A_NUMBER = "not a number where it comes from"
"""Why a score that is NaN or infinite there is none here."""
_CONVERTED: tuple[Definition, ...] = tuple(name for name in DEFINITIONS if name not in ("mse_nrm", "fve_nrm"))


def import_mapped(path: Path, db: Path, map_name: str) -> bool:
    """Makes a run file of results in another layout; True when it was made, False when it held their rows already.

    Raises:
        MapInvalid: there is no such map, or it has faults.
        ResultsUnreadable: a file is not there, is damaged, or is not in the layout that the map says.
        BundleInvalid: what the files hold is not what the map says, or contradicts itself; every fault is listed.
        RunFileTaken: a run file with other content stands at `db`.
        RunFileUnreadable: something that is no run file stands at `db`.
        FileUnwritable: the run file cannot be made there.
    """
    given = read_mapped(path, map_name)
    return store_given(db, given)


def read_mapped(path: Path, map_name: str) -> GivenRun:
    """A run of results in another layout.

    Raises:
        MapInvalid: there is no such map, or it has faults.
        ResultsUnreadable: a file is not there, is damaged, or is not in the layout that the map says.
        BundleInvalid: what the files hold is not what the map says, or contradicts itself; every fault is listed.
    """
    layout, text = read_map(map_name)
    results, layout = open_results(path, layout)
    return mapped_run(path, layout, text, results)


def open_results(path: Path, layout: ResultsMap) -> tuple[list[ResultFile], ResultsMap]:
    """The files of results, and the map with the pairs that they name.

    Raises:
        ResultsUnreadable: a file is not there, is damaged, or has no rows where the map says so.
    """
    paths = files_at(path, layout.files)
    if layout.format is None:
        return [read_results(file, layout.rows) for file in paths], layout
    read = [read_transcript(file) for file in paths]
    pairs = {pair.pair_id: pair for _, pair in read} | {pair.pair_id: pair for pair in layout.pairs}
    return [file for file, _ in read], layout.model_copy(update={"pairs": list(pairs.values())})


def mapped_run(path: Path, layout: ResultsMap, text: str, results: list[ResultFile]) -> GivenRun:
    """The run that a map makes of files of results.

    Raises:
        BundleInvalid: what the files hold is not what the map says, or contradicts itself; every fault is listed.
    """
    faults = Faults()
    found = gather(results, layout, faults)
    if faults.lines:
        raise BundleInvalid("\n".join(faults.told()))
    if not found.scores and not found.texts:
        raise BundleInvalid(f"{path}: no row has a score or an explanation where the map says so; correct the map.")
    tables = _Tables(layout, found)
    read = {row_type: checked_table(path, row_type, frame, faults) for row_type, frame in tables.frames(faults, path)}
    described = _described(layout, text, found, results)
    # An id of several columns says no more than these do, one of which names the document.
    texts = tables.texts if layout.document is None or (layout.item and len(layout.item) == 1) else {}
    return given_run(GivenTables(described, path.resolve().name.partition(".")[0], "the map", read, texts), faults)


def _described(layout: ResultsMap, text: str, found: Gathered, results: Sequence[ResultFile]) -> BundleRun:
    definitions = [{"column": column, "definition": name} for column, name in found.columns.items()]
    scores = {"definitions": definitions, "checked": layout.checked}
    environment = {"scores": scores, "map": text, "files": [file.path.name for file in results]}
    return BundleRun(title=layout.title, pairs=layout.pairs, run_id=layout.run_id, environment=environment)


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of items and draws."""

    items: Mapping[str, int]
    draws: Mapping[str | int, int]


class _Tables:
    """What was gathered, as frames of the tables' columns."""

    def __init__(self, layout: ResultsMap, found: Gathered) -> None:
        numbers, self.texts = item_numbers(found.items)
        labels = [key.draw for key in found.texts] + [key.draw for key in found.scores]
        self._numbers = _Numbers(numbers, draw_numbers(labels))
        self._map, self._found = layout, found
        self._pairs = {pair.pair_id: pair for pair in layout.pairs}

    def frames(self, faults: Faults, path: Path) -> Iterator[tuple[type, pl.DataFrame]]:
        """A frame a table; a table without rows has none."""
        scores, changed, given = self._scores(faults, path)
        rows: dict[type, list[dict[str, Any]]] = {
            Item: self._items(),
            Alignment: self._alignments(),
            Explanation: self._explanations(),
            Score: scores,
            Ablation: changed,
            GivenScore: given,
            Tag: self._tags(),
        }
        for row_type, found in rows.items():
            if found:
                columns = {name: kind for name, kind in frame_schema(row_type).items() if name in found[0]}
                yield row_type, pl.DataFrame(found, schema=columns)

    def _items(self) -> list[dict[str, Any]]:
        """Rows for items of which something is said."""
        told = ("document", "token", "context", "char_end")
        if not any(said[name] is not None for said in self._found.items.values() for name in told):
            return []
        return [
            {
                "item_id": self._numbers.items[item],
                "doc_id": said["document"],
                **{name: said[name] for name in told[1:]},
            }
            for item, said in self._found.items.items()
        ]

    def _tags(self) -> list[dict[str, Any]]:
        return [
            {"item_id": self._numbers.items[item], "name": name, "value": value}
            for (item, name), value in self._found.tags.items()
        ]

    def _alignments(self) -> list[dict[str, Any]]:
        """Where each item stands in its own pair's tokens: an item that comes from them is met exactly."""
        return [
            {
                "item_id": self._numbers.items[item],
                "pair_id": source,
                "token_index": place,
                "char_error": 0,
                "activation_norm": norm,
            }
            for (source, item), (place, norm) in self._found.norms.items()
        ]

    def _explanations(self) -> list[dict[str, Any]]:
        rows = []
        for key, said in self._found.texts.items():
            judged = None if said.completion is None else judge_answer(said.completion, "stop")
            text = said.explanation if said.explanation is not None or judged is None else judged.text
            rows.append(
                {
                    "item_id": self._numbers.items[key.item],
                    "source": key.source,
                    "text": text.strip() or None if text is not None else None,
                    "completion": said.completion,
                    "finish": "closed" if judged is not None and judged.is_closed else None,
                    "is_clean": None if judged is None else judged.is_clean,
                    "draw": self._numbers.draws[key.draw],
                }
            )
        return rows

    def _scores(self, faults: Faults, path: Path) -> tuple[list[dict[str, Any]], ...]:
        """The rows of scores, of changed texts, and of scores as they were given."""
        scores, changed, given = [], [], []
        unconverted: dict[Definition, None] = {}
        for key, said in self._found.scores.items():
            place = {
                "item_id": self._numbers.items[key.item],
                "source": key.source,
                "target": key.target,
                "draw": self._numbers.draws[key.draw],
            }
            finite = {name: value for name, value in said.values.items() if math.isfinite(value)}
            mse = self._mse_nrm(key, said, finite)
            if key.method is not None:
                changed.append({**place, "method": key.method, "mse_nrm": mse})
                continue
            fve, reason = finite.get("fve_nrm"), None if finite else NOT_A_NUMBER
            unconverted.update(dict.fromkeys(name for name in finite if mse is None and DEFINITIONS[name].needs))
            if mse is not None or fve is not None or reason:
                scores.append({**place, "mse_nrm": mse, "fve_nrm": fve, "unscored_reason": reason})
            given += [{**place, "definition": name, "value": finite[name]} for name in _CONVERTED if name in finite]
        for name in unconverted:
            faults.add(path, f"{name} cannot be converted; give {DEFINITIONS[name].needs}.")
        return scores, changed, given

    def _mse_nrm(self, key: ScoreKey, said: GatheredScore, finite: Mapping[Definition, float]) -> float | None:
        """The error of directions by the first definition that gives it."""
        pair = self._pairs.get(key.target)
        if pair is None:
            return None
        known = _known_of(pair, said)
        for name, described in DEFINITIONS.items():
            if name in finite and (mse := described.converted(finite[name], known)) is not None:
                return mse
        return None


def _known_of(pair: BundlePair, said: GatheredScore) -> KnownOfTarget:
    mean_norm = pair.mean_norm if pair.mean_norm is not None else mean_norm_of(pair.variance_nrm)
    return KnownOfTarget(pair.d_model, pair.variance_nrm, mean_norm, said.gold_norm, said.reconstruction_norm)
