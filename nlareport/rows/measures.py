"""The measures of a cell that can be compared between targets: one declaration each.

The report's table of them is made from these declarations, head, body and foot. To add a measure, declare it here, let
a module of `statistics` make its `Measure` rows, and have the audit ``measure_beside_its_items`` recompute it from its
items where it can.
"""

from dataclasses import dataclass
from typing import Literal

MeasureName = Literal[
    "centred_cosine",
    "identified_of_2",
    "identified_of_10",
    "identified_of_all",
    "ceiling_fraction",
    "cosine",
    "fve_meannorm",
]
"""What the column `measure` of the table `measure` may hold."""


@dataclass(frozen=True, slots=True)
class MeasureDeclaration:
    """How the report shows one measure."""

    name: MeasureName | Literal["fve_nrm"]
    label: str
    """The head of its column."""
    written: Literal["signed", "percent"]
    """How its values are written."""
    about: str | None = None
    """A sentence on how it is made. None where a sentence before says it."""
    chance: str | None = None
    """What it comes to by chance, as part of a sentence. None where that is not known, or said before."""
    on_diagonal: str = "–"
    """What is said of a cell on the diagonal that has no value."""
    has_interval: bool = True
    """Whether the table shows its interval. The intervals of `fve_nrm` are in the matrix."""
    is_rare: bool = False
    """Whether a run without a value of it has no column for it either."""


MEASURES = (
    MeasureDeclaration("fve_nrm", "fve_nrm", "signed", chance="the shuffled-pair null for fve_nrm", has_interval=False),
    MeasureDeclaration(
        "fve_meannorm", "fve_meannorm", "signed", about="fve_meannorm is 0 for the best constant guess."
    ),
    MeasureDeclaration(
        "cosine",
        "Cosine",
        "signed",
        about="The cosine is that of activation and reconstruction, as it came; targets whose activations share a "
        "large direction have high ones.",
        is_rare=True,
    ),
    MeasureDeclaration(
        "centred_cosine",
        "Centred cosine",
        "signed",
        about="The centred cosine is taken after the target's mean direction has been removed from both vectors.",
        chance="the mean centred cosine with the activations of all other documents",
    ),
    MeasureDeclaration(
        "identified_of_2",
        "Identified among 2",
        "percent",
        about="Identification asks whether a reconstruction is nearer to its own activation than to those of other "
        "documents: among 2, one other; among 10, nine others drawn at random; among all, every other. A tie counts as "
        "not identified.",
        chance="one in so many for identification",
    ),
    MeasureDeclaration("identified_of_10", "Identified among 10", "percent"),
    MeasureDeclaration("identified_of_all", "Identified among all", "percent"),
    MeasureDeclaration("ceiling_fraction", "Fraction of ceiling", "percent", on_diagonal="ceiling"),
)
"""In the order of the table's columns."""
