"""Adds an import to a run file that holds an import already: more sources, targets, draws, items or tables.

Takes the run that is stored and the one that is given, returns both as one, with all that follows from the rows
computed again. A row that says otherwise than the stored one is refused, and nothing is added.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nlareport.claims.reading import read_claims
from nlareport.errors import RunFileTaken
from nlareport.rows.cell_rows import Baseline, LearningCurve
from nlareport.rows.declaration import TABLES
from nlareport.rows.item_rows import Item, Score
from nlareport.rows.run_rows import Claim, Pair
from nlareport.shown import shown
from nlareport.statistics.document_draws import DocumentDraws
from nlareport.statistics.run_summary import ItemRows, summarize_run
from nlareport.store.bundle.assembly import GivenRun
from nlareport.store.bundle.computed_tables import FLAGS, RECORD, bootstrap_of, compute_tables
from nlareport.store.reader import DuckDBReader
from nlareport.store.row_tables import sort_key
from nlareport.store.run_file import RunFile, create_run_file
from nlareport.store.whole_run import RunRows, holds_run, read_run, store_run


def store_given(path: Path, given: GivenRun) -> bool:
    """Makes a run file of an import, or adds it to the import that stands there; False when that holds all of it.

    An addition is one transaction: a run file whose import is killed is as it was before.

    Raises:
        RunFileTaken: what stands there was not imported, has another title, or contradicts a row; it is left as it is.
        RunFileUnreadable: something that is no run file stands there.
        RowRefused: a row breaks a constraint of its table.
        FileUnwritable: it cannot be made here.
    """
    if not path.exists():
        return store_run(path, given.whole())
    stored = read_run(path)
    if holds_run(stored, given.rows):
        return False
    refused = _Refusal(f"{path}: already holds run {shown(stored.run.run_id)} ({stored.run.kind})")
    _refuse_other_run(stored, given.rows, refused)
    base, more = _given_part(stored), _given_part(given.rows)
    whole = _joined(base, more, refused)
    if whole == base.tables:
        return False
    rows = compute_tables(RunRows(stored.run, whole), bootstrap_of(stored.run.environment))
    tables = {**rows.tables, Claim: _claims_of(rows)}
    with RunFile.open(path) as run_file, run_file.transaction():
        run_file.put([rows.run])
        run_file.replace(tables)
    return True


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How a refusal begins."""

    begin: str

    def of(self, what: str) -> RunFileTaken:
        """The error that says what is wrong, and what next."""
        return RunFileTaken(f"{self.begin}{what}, so nothing was added; give another path with --db.")


def _refuse_other_run(stored: RunRows, given: RunRows, refused: _Refusal) -> None:
    if stored.run.kind != "imported" or given.run.kind != "imported":
        raise refused.of(" with other content, and only an import can be added to an import")
    if stored.run.title != given.run.title:
        raise refused.of(
            f" with other content: an import is added to a run of its own title, which here is "
            f"{shown(stored.run.title)} and not {shown(given.run.title)}"
        )
    definitions = [run.environment.get("scores") for run in (stored.run, given.run)]
    if definitions[0] != definitions[1]:
        raise refused.of(", whose scores are defined otherwise than those given")
    for run in (stored, given):
        record = run.run.environment.get(RECORD)
        has_own = bool(record.get("stated")) if isinstance(record, dict) else any(map(run.tables.get, _derived()))
        if has_own:
            raise refused.of(", and figures that are stated, not computed, cannot be computed again with more rows")


@cache
def _derived() -> frozenset[type]:
    """The row types of tables that are computed at import."""
    found = summarize_run(ItemRows((), (), DocumentDraws.of((), 1, 0)))
    return frozenset({*found, Baseline, LearningCurve, Claim} - {Item})


def _given_part(rows: RunRows) -> RunRows:
    """The rows without what was computed from others."""
    record = rows.run.environment.get(RECORD, {})
    kept = {row_type: [] if row_type in _derived() else list(found) for row_type, found in rows.tables.items()}
    if RECORD in rows.run.environment and FLAGS not in record.get("stated", []):
        kept[Item] = [replace(item, is_outlier=None) for item in rows.of(Item)]
    if record.get("fve_nrm") == "computed":
        kept[Score] = [row if row.mse_nrm is None else replace(row, fve_nrm=None) for row in rows.of(Score)]
    return RunRows(rows.run, kept)


def _joined(stored: RunRows, given: RunRows, refused: _Refusal) -> dict[type, Sequence[object]]:
    joined: dict[type, Sequence[object]] = {}
    for row_type, rows in stored.tables.items():
        by_key = {sort_key(row): row for row in rows}
        for row in given.tables[row_type]:
            key = sort_key(row)
            if isinstance(row, Pair):
                row = _placed(row, by_key, len(by_key))
            by_key[key] = _agreed(by_key[key], row, refused) if key in by_key else row
        joined[row_type] = list(by_key.values())
    return joined


def _placed(pair: Pair, stored: dict[Any, Any], place: int) -> Pair:
    """The pair in its stored place, or behind all that are stored; a label that is only its id says nothing."""
    known = stored.get((pair.pair_id,))
    if known is None:
        return replace(pair, ordinal=1 + max((row.ordinal for row in stored.values()), default=place - 1))
    return replace(pair, ordinal=known.ordinal, label=known.label if pair.label == pair.pair_id else pair.label)


def _agreed(stored: object, given: object, refused: _Refusal) -> object:
    """One row of two with the same key: each fills what the other leaves open."""
    names = [column.name for column in fields(stored)]  # type: ignore[arg-type]
    for name in names:
        old, new = getattr(stored, name), getattr(given, name)
        if None not in (old, new) and old != new:
            table = TABLES[type(stored)]
            place = ", ".join(f"{part} {shown(str(getattr(stored, part)))}" for part in table.key)
            raise refused.of(f", whose {table.name} with {place} has {name} {shown(str(old))}, not {shown(str(new))}")
    filled = {name: getattr(given, name) for name in names if getattr(stored, name) is None}
    return replace(stored, **filled)  # type: ignore[type-var]


def _claims_of(rows: RunRows) -> list[Claim]:
    """The claims of the run, asked of a scratch file: the run file itself shows nothing before it is committed."""
    with TemporaryDirectory() as scratch:
        db = Path(scratch) / "run.duckdb"
        create_run_file(db, rows.run, *rows.groups())
        with DuckDBReader.open(db) as reader:
            return read_claims(reader)
