"""Asks what the report's last section shows: how answers ended, why scores are missing, how the run was made.

Takes a reader and the run's head; returns the answers under the names that the templates use.
"""

from dataclasses import dataclass

from nlareport.checks import AbsentTable, SelfTestRow
from nlareport.ports import RunReader
from nlareport.render.origins import Answer, ask
from nlareport.render.report.answer_notes import DecodeFinish, MarkCount
from nlareport.render.report.query_rows import AlignmentExtremes, RunHead, SkippedDocuments, UnscoredReason
from nlareport.render.report.run_conditions import Conditions, EnvironmentFact, read_conditions


@dataclass(frozen=True, slots=True)
class NoteAnswers:
    """All of it."""

    decodes: Answer[DecodeFinish]
    marks: Answer[MarkCount]
    unscored: Answer[UnscoredReason]
    alignment: Answer[AlignmentExtremes]
    skipped: Answer[SkippedDocuments]
    absent: Answer[AbsentTable]
    """Told in one place, so that sections of an imported run do not each say it."""
    conditions: Conditions
    self_tests: Answer[SelfTestRow]
    facts: Answer[EnvironmentFact]


def read_notes(reader: RunReader, head: RunHead) -> NoteAnswers:
    """The answers of a run's notes."""
    return NoteAnswers(
        decodes=ask(reader, DecodeFinish, "decode_finish"),
        marks=ask(reader, MarkCount, "answer_marks"),
        unscored=ask(reader, UnscoredReason, "unscored_reasons"),
        alignment=ask(reader, AlignmentExtremes, "alignment_extremes"),
        skipped=ask(reader, SkippedDocuments, "skipped_documents"),
        absent=ask(reader, AbsentTable, "absent_tables"),
        conditions=read_conditions(reader, head),
        self_tests=ask(reader, SelfTestRow, "self_tests"),
        facts=ask(reader, EnvironmentFact, "environment_facts"),
    )
