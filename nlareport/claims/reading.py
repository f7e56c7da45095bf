"""Reads the claims of a run: which sentences of the report it bears out, with their figures in place.

Takes a reader of a run file; returns claims. Where the check of a sentence fails, its weaker form (`otherwise`) is a
claim of its own, true exactly then. A claim is two files of this folder: ``ID.yaml`` holds its text and its place on
the page, ``ID.sql`` its query, which is asked for as ``claim_ID``.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nlareport.claims.claim_texts import claim_text
from nlareport.errors import ClaimInvalid
from nlareport.files.yaml_files import mapping_in, validation_faults
from nlareport.ports import RunReader
from nlareport.rows.run_rows import Claim

OTHERWISE = ".otherwise"
"""How the id of a sentence's weaker form ends."""

Section = Literal["matrix", "controls", "text", "method"]
"""The part of the report a claim belongs to, in the order of the page: what passes between models, what else could
score so, what in a text carries the score, how the run was made."""


class ClaimTemplate(BaseModel):
    """One sentence before its figures are known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim_id: str
    text: str
    """With places for figures, such as ``{best:signed}``."""
    otherwise: str | None = None
    """What is said where the query says that the text does not hold."""
    section: Section
    weight: int = Field(ge=0, le=100)
    """How much it says. Within its section the heaviest comes first."""
    needs: tuple[str, ...] = ()
    """What the run must hold before it can be asked: names of ``needs_of_claims``, what others rest on first."""
    required: bool = False
    """Whether a run on which it does not hold has a fault."""
    hero: bool = False
    """Whether it stands at the top of the report."""

    @property
    def query(self) -> str:
        """The name of the query that checks it."""
        return f"claim_{self.claim_id}"


@dataclass(frozen=True, slots=True)
class ClaimFigures:
    """What a claim's query answers."""

    holds: bool | None
    """None when the run cannot be asked, so that neither form of the sentence is said."""
    figures: str
    """A JSON object: the figures by name."""


@dataclass(frozen=True, slots=True)
class ClaimNeed:
    """Something that sentences are asked of (``needs_of_claims``)."""

    need: str
    """Its name among the `needs` of a sentence."""
    is_met: bool
    absent: str
    """What is missing and what would bring it, as the rest of a sentence."""


def claim_templates(folder: Traversable | None = None) -> list[ClaimTemplate]:
    """Every sentence the report may say, by section and weight; `folder` is another than the package's own.

    Raises:
        ClaimInvalid: a file is not as it should be.
    """
    entries = (folder or files("nlareport.claims")).iterdir()
    found = [_template(entry) for entry in entries if entry.name.endswith(".yaml")]
    sections = get_args(Section)
    return sorted(found, key=lambda claim: (sections.index(claim.section), -claim.weight, claim.claim_id))


def read_claims(reader: RunReader) -> list[Claim]:
    """The sentences this run can be asked about, with figures; those that hold are the ones to show."""
    found = []
    for template in claim_templates():
        answer = reader.rows(ClaimFigures, template.query)[0]
        if answer.holds is None:
            continue
        figures = json.loads(answer.figures)
        forms = {template.claim_id: (template.text, answer.holds)}
        if template.otherwise is not None:
            forms[f"{template.claim_id}{OTHERWISE}"] = (template.otherwise, not answer.holds)
        found += [
            Claim(claim_id=claim_id, text=claim_text(text, figures), query=template.query, holds=holds, figures=figures)
            for claim_id, (text, holds) in forms.items()
        ]
    return found


def absent_needs(reader: RunReader) -> dict[str, str]:
    """Why the run cannot be asked about a sentence, by `claim_id`; sentences that lack nothing are left out."""
    absent = {need.need: need.absent for need in reader.rows(ClaimNeed, "needs_of_claims") if not need.is_met}
    found = {}
    for template in claim_templates():
        if lacking := [need for need in template.needs if need in absent]:
            found[template.claim_id] = absent[lacking[0]]
    return found


def _template(entry: Traversable) -> ClaimTemplate:
    path = Path(entry.name)
    content: dict[str, Any] = mapping_in(
        entry.read_text(encoding="utf-8"), path, ClaimInvalid, "claim", "`text` and `section`"
    )
    try:
        return ClaimTemplate(claim_id=path.stem, **content)
    except ValidationError as error:
        raise ClaimInvalid("\n".join(validation_faults(error, path))) from error
