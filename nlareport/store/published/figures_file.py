"""Checks a file of published figures: one pydantic model per part, every fault reported together.

Takes a YAML text, returns `PublishedFigures`. What the figures become in a run file is `published_run.py`'s business.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nlareport.errors import PublishedFiguresInvalid
from nlareport.experiment.experiment_file import Series
from nlareport.experiment.section import MOST_WHOLE, Name
from nlareport.files.yaml_files import mapping_in, validation_faults
from nlareport.shown import shown
from nlareport.store.bundle.half_pairs import halves_fault, without_model
from nlareport.store.bundle.number_ranges import Fve, Scale, Variance
from nlareport.store.bundle.table_values import storable


def _known_pair(pair_id: str, info: Any) -> str:  # a ValidationInfo: a protocol beartype cannot check
    known = (info.context or {}).get("pair_ids", [])
    if pair_id not in known:
        raise ValueError(f"is none of the pairs ({', '.join(known)})")
    return pair_id


KnownPair = Annotated[str, AfterValidator(_known_pair)]
"""The id of a pair that the file lists under `pairs`."""


class Part(BaseModel):
    """A part whose keys are all known; a misspelt one is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Notes(BaseModel):
    """A part that may say more than is listed here; all of it is kept."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)


class Substrate(Notes):
    """What was measured on."""

    corpus: str
    docs: int = Field(ge=1, le=MOST_WHOLE)
    positions_per_doc: int = Field(default=1, ge=1, le=MOST_WHOLE)
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)


class Decode(Notes):
    """How the verbalizers wrote, and how many answers were clean."""

    decodes: int | None = Field(default=None, ge=0)
    clean: int | None = Field(default=None, ge=0)


class Metric(Notes):
    """Which score the figures are."""

    name: Literal["fve_nrm", "fve_meannorm", "cosine"]


class Nulls(Notes):
    """The range of the null scores, where single ones were not published."""

    kind: str
    min: float
    max: float

    @model_validator(mode="after")
    def _in_order(self) -> "Nulls":
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}; swap them")
        return self


class PublishedPair(Part):
    """One pair as the page names it."""

    pair_id: Name
    label: str
    family: str
    base_model: str | None
    """None for a source of texts, written `none`."""
    block_index: int | None = Field(ge=0, le=MOST_WHOLE)
    d_model: int | None = Field(ge=1, le=MOST_WHOLE)
    injection_scale: Scale | None = None
    mse_scale: Scale | None = None
    variance_nrm: Variance | None = None
    sidecar_variance_nrm: Variance | None = None
    writes: bool = True
    reads: bool = True

    _without_model = model_validator(mode="before")(without_model)

    @model_validator(mode="after")
    def _has_its_parts(self) -> "PublishedPair":
        parts = (self.base_model, self.block_index, self.d_model)
        if fault := halves_fault(*parts, writes=self.writes, reads=self.reads):
            raise ValueError(f"{self.pair_id} {fault}")
        return self


class PublishedCell(Notes):
    """One value of the matrix with its interval; further numbers, such as a spread, are kept under their names."""

    source: KnownPair
    target: KnownPair
    fve_nrm: Fve | None = None
    ci95: tuple[Fve, Fve] | None = None
    """Of `fve_nrm`."""
    fve_meannorm: Fve | None = None
    cos: float | None = Field(default=None, ge=-1.0, le=1.0)
    """Mean cosine."""

    @model_validator(mode="after")
    def _says_a_score(self) -> "PublishedCell":
        if (self.fve_nrm, self.fve_meannorm, self.cos) == (None, None, None):
            raise ValueError("needs one of fve_nrm, fve_meannorm and cos")
        for key, value in (self.model_extra or {}).items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{shown(key)} is not a known key, and no number; remove it or correct its spelling")
        return self

    @model_validator(mode="after")
    def _inside_its_interval(self) -> "PublishedCell":
        if self.ci95 and self.fve_nrm is None:
            raise ValueError("ci95 is the interval of fve_nrm, which is missing")
        if self.ci95 and self.fve_nrm is not None and not self.ci95[0] <= self.fve_nrm <= self.ci95[1]:
            raise ValueError(f"fve_nrm {self.fve_nrm} lies outside ci95 {list(self.ci95)}; correct one of them")
        return self


class ReplicationTarget(Part):
    """An earlier figure the run was meant to meet."""

    pair: KnownPair
    published: Fve
    tolerance: float | None = Field(default=None, ge=0)
    measured: Fve | None = None


class PublishedExplanation(Part):
    """What one source said on a sample card."""

    source: KnownPair
    own_fve: Fve | None = None
    text: str | None = None
    is_clean: bool | None = None


class PublishedSample(Part):
    """One sample card: an item, its explanations and its own matrix."""

    kind: str
    rule: str
    doc_id: str
    item_id: int = Field(ge=-(2**63), le=2**63 - 1)
    token: str
    context: str | None = None
    explanations: list[PublishedExplanation] = []
    fve_nrm: dict[KnownPair, dict[KnownPair, Fve]] = {}

    @model_validator(mode="after")
    def _own_scores_agree(self) -> "PublishedSample":
        for said in self.explanations:
            in_matrix = self.fve_nrm.get(said.source, {}).get(said.source)
            if None not in (said.own_fve, in_matrix) and said.own_fve != in_matrix:
                raise ValueError(
                    f"sample {self.kind!r}: own_fve of {said.source} is {said.own_fve}, its diagonal says {in_matrix}"
                )
        return self


class PublishedFigures(Part):
    """A page's figures, carried over by hand."""

    experiment: Name
    title: str
    series: Series | None = None
    substrate: Substrate
    decode: Decode
    metric: Metric
    pairs: list[PublishedPair] = Field(min_length=1)
    cells: list[PublishedCell] = Field(min_length=1)
    nulls: Nulls | None = None
    replication_targets: list[ReplicationTarget] = []
    alignment_notes: dict[str, Any] | None = None
    median_activation_norm: dict[KnownPair, float] = {}
    samples: list[PublishedSample] = []

    @model_validator(mode="after")
    def _nothing_twice(self) -> "PublishedFigures":
        cards: dict[int, tuple[str, str]] = {}
        for sample in self.samples:
            if cards.setdefault(sample.item_id, (sample.doc_id, sample.token)) != (sample.doc_id, sample.token):
                raise ValueError(f"samples: item_id {sample.item_id} stands for two different items")
        names = {
            "pair": [pair.pair_id for pair in self.pairs],
            "cell": [f"{cell.source} → {cell.target}" for cell in self.cells],
            "sample": [sample.kind for sample in self.samples],
        }
        twice = [f"{what} {name}" for what, given in names.items() for name, n in Counter(given).items() if n > 1]
        if twice:
            raise ValueError(f"given twice: {', '.join(twice)}; keep one of each")
        return self

    @model_validator(mode="after")
    def _cells_have_both_halves(self) -> "PublishedFigures":
        writers = {pair.pair_id for pair in self.pairs if pair.writes}
        readers = {pair.pair_id for pair in self.pairs if pair.reads}
        for cell in self.cells:
            for pair_id, known, what in ((cell.source, writers, "writes"), (cell.target, readers, "reads")):
                if pair_id not in known:
                    raise ValueError(
                        f"cells: {cell.source} → {cell.target} needs {pair_id} as one that {what}, and the file says "
                        "that it does not; correct the pair or leave out the cell"
                    )
        return self

    @model_validator(mode="after")
    def _can_be_stored(self) -> "PublishedFigures":
        storable(self.model_dump(mode="json"))
        return self


def parse_published(text: str, path: Path) -> PublishedFigures:
    """The figures in a YAML text; `path` is what faults are reported under.

    Raises:
        PublishedFiguresInvalid: the text is not YAML or has faults; every fault is listed.
    """
    content = mapping_in(text, path, PublishedFiguresInvalid, "figures", "`pairs` and `cells`")
    try:
        return PublishedFigures.model_validate(content, context={"pair_ids": _pair_ids(content)})
    except ValidationError as error:
        raise PublishedFiguresInvalid("\n".join(validation_faults(error, path))) from error


def _pair_ids(content: dict[str, Any]) -> dict[str, None]:
    """The ids under `pairs`, read before anything is known to be sound, so that all faults can be named at once."""
    pairs = content.get("pairs")
    listed = pairs if isinstance(pairs, list) else []
    return {str(pair["pair_id"]): None for pair in listed if isinstance(pair, dict) and "pair_id" in pair}
