"""The report's sentences: each a text with places for figures, a query that fills them, and a check.

Enters a reader; leaves claims with their figures in place. A sentence stands in ``templates/report/claims/*.yaml``;
where its check fails, its weaker form (`otherwise`) is a claim of its own, true exactly then.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from nlareport.ports import RunReader
from nlareport.render import figure_text
from nlareport.render.report.answer_notes import counted
from nlareport.render.report.query_rows import ClaimFigures, ClaimNeed
from nlareport.render.template_folder import templates_folder
from nlareport.rows.run_rows import Claim


@dataclass(frozen=True, slots=True)
class ClaimTemplate:
    """One sentence before its figures are known."""

    claim_id: str
    query: str
    text: str
    otherwise: str | None
    needs: tuple[str, ...] = ()
    """What the run must hold before it can be asked: names of ``needs_of_claims``, what others rest on first."""
    is_required: bool = False
    """Whether a run on which it does not hold has a fault."""
    is_in_hero: bool = False
    """Whether it stands at the top of the report instead of under Reads."""


class FigureFormatter(Formatter):
    """Fills ``{name:word}`` with the figure `name`, written as `word` says; a name that is not there is an error.

    Words: ``fve``, ``fves`` (a range of them), ``short`` (two decimals), ``percent``, ``percents``, ``count``,
    ``list``, ``reasons`` (why answers are not clean), and ``one|many``, which is the count with its noun. No word: text
    as it is.
    """

    def format_field(self, value: Any, format_spec: str) -> str:
        """The figure as text; what is not known says so."""
        if value is None:
            return "not known"
        if "|" in format_spec:
            one, many = format_spec.split("|")
            return f"{figure_text.count(value)} {one if value == 1 else many}"
        match format_spec:
            case "":
                return str(value)
            case "fve":
                return figure_text.signed(value)
            case "fves":
                return figure_text.signeds(value)
            case "short":
                return figure_text.signed(value, 2)
            case "percent":
                return figure_text.percent(value)
            case "percents":
                return figure_text.percents(value)
            case "count":
                return figure_text.count(value)
            case "list":
                return _listed(value)
            case "reasons":
                return counted(value)
        raise ValueError(f"unknown format word {format_spec!r}")


def claim_templates(folder: Path | None = None) -> list[ClaimTemplate]:
    """Every sentence the report may say, in the order of their file names."""
    folder = folder or templates_folder() / "report" / "claims"
    found = []
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.append(
            ClaimTemplate(
                content["id"],
                content["query"],
                content["text"],
                content.get("otherwise"),
                tuple(content.get("needs", ())),
                content.get("required", False),
                content.get("hero", False),
            )
        )
    return found


def read_claims(reader: RunReader, folder: Path | None = None) -> list[Claim]:
    """The sentences this run can be asked about, with figures; those that hold are the ones to show."""
    found = []
    for template in claim_templates(folder):
        answer = reader.rows(ClaimFigures, template.query)[0]
        if answer.holds is None:
            continue
        figures = json.loads(answer.figures)
        found.append(_claim(template.claim_id, template.text, template.query, answer.holds, figures))
        if template.otherwise is not None:
            otherwise_id = f"{template.claim_id}.otherwise"
            found.append(_claim(otherwise_id, template.otherwise, template.query, not answer.holds, figures))
    return found


def absent_needs(reader: RunReader, folder: Path | None = None) -> dict[str, str]:
    """Why the run cannot be asked about a sentence, by `claim_id`; of sentences that lack nothing, nothing is said."""
    absent = {need.need: need.absent for need in reader.rows(ClaimNeed, "needs_of_claims") if not need.is_met}
    found = {}
    for template in claim_templates(folder):
        if lacking := [need for need in template.needs if need in absent]:
            found[template.claim_id] = absent[lacking[0]]
    return found


def _claim(claim_id: str, text: str, query: str, holds: bool, figures: dict[str, Any]) -> Claim:
    """One sentence with its figures in place."""
    return Claim(
        claim_id=claim_id, text=FigureFormatter().vformat(text, (), figures), query=query, holds=holds, figures=figures
    )


def _listed(values: Sequence[str]) -> str:
    """Several names as English lists them."""
    names = [str(value) for value in values]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
