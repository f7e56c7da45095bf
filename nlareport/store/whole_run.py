"""A run as one value: every row of every table, read from a run file at once or stored as one.

What imports hand over and exports start from.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path

from nlareport.errors import RunFileTaken
from nlareport.rows.cell_rows import AblationCell, Baseline, Cell, Effect, LearningCurve, Measure, SubsetRange
from nlareport.rows.item_rows import (
    Ablation,
    Activation,
    Alignment,
    AnswerMark,
    Explanation,
    Item,
    NullScore,
    Outlier,
    PlainReading,
    Resemblance,
    Score,
)
from nlareport.rows.run_rows import Choice, Claim, Document, DocumentDigest, Making, Pair, Run, SelfTest
from nlareport.shown import shown
from nlareport.store.row_tables import sort_key
from nlareport.store.run_file import RunFile, create_run_file


@dataclass(frozen=True, slots=True)
class RunRows:
    """A run and all its rows, table by table, each ordered by primary key once read from a file."""

    run: Run
    pairs: list[Pair]
    makings: list[Making] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    self_tests: list[SelfTest] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    document_digests: list[DocumentDigest] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    alignments: list[Alignment] = field(default_factory=list)
    explanations: list[Explanation] = field(default_factory=list)
    answer_marks: list[AnswerMark] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    null_scores: list[NullScore] = field(default_factory=list)
    ablations: list[Ablation] = field(default_factory=list)
    plain_readings: list[PlainReading] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    learning_curves: list[LearningCurve] = field(default_factory=list)
    ablation_cells: list[AblationCell] = field(default_factory=list)
    outliers: list[Outlier] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
    subset_ranges: list[SubsetRange] = field(default_factory=list)
    resemblances: list[Resemblance] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def groups(self) -> list[list[object]]:
        """The rows of every table but `run`."""
        return [getattr(self, group.name) for group in fields(self) if group.name != "run"]


def read_run(path: Path) -> RunRows:
    """Everything a run file holds; an older one stays as it is.

    Raises:
        RunFileMissing: nothing stands at the path.
        RunFileUnreadable: it is no run file, or is damaged.
        RunFileOfAnotherVersion: it was written under another schema version.
        RunFileBusy: another process holds it.
    """
    with RunFile.open_to_read(path) as stored:
        return RunRows(
            run=stored.run(),
            pairs=stored.rows(Pair),
            makings=stored.rows(Making),
            choices=stored.rows(Choice),
            self_tests=stored.rows(SelfTest),
            documents=stored.rows(Document),
            document_digests=stored.rows(DocumentDigest),
            items=stored.rows(Item),
            alignments=stored.rows(Alignment),
            explanations=stored.rows(Explanation),
            answer_marks=stored.rows(AnswerMark),
            scores=stored.rows(Score),
            null_scores=stored.rows(NullScore),
            ablations=stored.rows(Ablation),
            plain_readings=stored.rows(PlainReading),
            cells=stored.rows(Cell),
            baselines=stored.rows(Baseline),
            learning_curves=stored.rows(LearningCurve),
            ablation_cells=stored.rows(AblationCell),
            outliers=stored.rows(Outlier),
            activations=stored.rows(Activation),
            subset_ranges=stored.rows(SubsetRange),
            resemblances=stored.rows(Resemblance),
            measures=stored.rows(Measure),
            effects=stored.rows(Effect),
            claims=stored.rows(Claim),
        )


def store_run(path: Path, rows: RunRows) -> bool:
    """Makes a run file of the rows; True when it was made, False when it held them already.

    Raises:
        RunFileTaken: a run file with other content stands there; it is left as it is.
        RunFileUnreadable: something that is no run file stands there.
        RowRefused: a row breaks a constraint of its table.
        FileUnwritable: it cannot be made here.
    """
    if not path.exists():
        create_run_file(path, rows.run, *rows.groups())
        return True
    stored = read_run(path)
    if _same_run(rows.run, stored.run) and all(
        _holds(have, wanted) for have, wanted in zip(stored.groups(), rows.groups(), strict=True)
    ):
        return False
    raise RunFileTaken(
        f"{path}: already holds run {shown(stored.run.run_id)} ({stored.run.kind}) with other content, which stays "
        "as it is; give another path with --db."
    )


def _same_run(wanted: Run, stored: Run) -> bool:
    """Whether both say the same, whenever and by whichever version they were imported."""
    told_alike = all(
        getattr(wanted, name) == getattr(stored, name)
        for name in ("run_id", "title", "series_name", "series_number", "kind", "experiment_yaml", "seed")
    )
    facts = {key: fact for key, fact in wanted.environment.items() if key != "duckdb"}
    return told_alike and all(key in stored.environment and stored.environment[key] == facts[key] for key in facts)


def _holds(stored: list[object], wanted: list[object]) -> bool:
    """Whether every wanted row is stored; what an import left open may have been computed since."""
    by_key = {sort_key(row): row for row in stored}
    return all(
        sort_key(row) in by_key
        and all(
            getattr(row, column.name) in (None, getattr(by_key[sort_key(row)], column.name))
            for column in fields(row)  # type: ignore[arg-type]
        )
        for row in wanted
    )
