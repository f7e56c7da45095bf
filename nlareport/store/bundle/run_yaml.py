"""`run.yaml` of a bundle: the run's own row and its pairs, most of it optional in a bundle made by hand."""

import math
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from nlareport import __version__
from nlareport.errors import BundleInvalid
from nlareport.experiment.section import MOST_WHOLE, ForeignName
from nlareport.files.yaml_files import MOST_BYTES, mapping_in, text_of, validation_faults, yaml_text
from nlareport.rows.run_rows import Pair, PairId, Reducer, Run, RunKind
from nlareport.shown import shown
from nlareport.store.bundle.bundle_tables import Faults
from nlareport.store.bundle.computed_tables import Bootstrap, bootstrap_of
from nlareport.store.bundle.half_pairs import halves_fault, without_model
from nlareport.store.bundle.number_ranges import NOISE, Scale, Variance
from nlareport.store.bundle.table_values import storable
from nlareport.store.migrations import OLDEST_SCHEMA_VERSION, SCHEMA_VERSION
from nlareport.store.row_tables import column_types

MOST_RUN_YAML_BYTES = 4 * MOST_BYTES
"""Of a `run.yaml`, which holds the text of an experiment or of a figures file next to its own."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _without_noise(share: float) -> float:
    """The share, in [0, 1]."""
    return min(max(share, 0.0), 1.0)


class BundlePair(_Part):
    """One pair; only what the matrix cannot do without must be there."""

    pair_id: ForeignName
    family: str
    base_model: str | None
    """None for a source of texts, written `none`."""
    block_index: int | None = Field(ge=0, le=MOST_WHOLE)
    d_model: int | None = Field(ge=1, le=MOST_WHOLE)
    label: str | None = None
    injection_scale: Scale | None = None
    mse_scale: Scale | None = None
    variance_nrm: Variance | None = None
    mean_norm: Annotated[float, Field(ge=-NOISE, le=1.0 + NOISE), AfterValidator(_without_noise)] | None = None
    sidecar_variance_nrm: Variance | None = None
    ordinal: int | None = Field(default=None, ge=-MOST_WHOLE - 1, le=MOST_WHOLE)
    writes: bool = True
    reads: bool = True

    _without_model = model_validator(mode="before")(without_model)

    @model_validator(mode="after")
    def _has_its_parts(self) -> "BundlePair":
        parts = (self.base_model, self.block_index, self.d_model)
        if fault := halves_fault(*parts, writes=self.writes, reads=self.reads):
            raise ValueError(f"{shown(self.pair_id)} {fault}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _scales_in_numbers(cls, given: Any) -> Any:
        """The pair with `sqrt_d_model`, as sidecars write it, for the number it stands for."""
        width = given.get("d_model") if isinstance(given, dict) else None
        if not isinstance(width, int) or not 0 < width <= MOST_WHOLE:
            return given
        named = {name for name in ("injection_scale", "mse_scale") if given.get(name) == "sqrt_d_model"}
        return {**given, **dict.fromkeys(named, math.sqrt(width))}

    def row(self, place: int) -> Pair:
        """The pair as a row; its id for want of a label, its place in the file for want of an ordinal."""
        given = self.model_dump()
        given["label"] = self.pair_id if self.label is None else self.label
        given["ordinal"] = place if self.ordinal is None else self.ordinal
        return Pair(**given)


class BundleBootstrap(_Part):
    """How the intervals that are computed at import are drawn."""

    draws: int = Field(default=Bootstrap().draws, ge=100, le=1_000_000)
    seed: int = Field(default=Bootstrap().seed, ge=-(2**63), le=2**63 - 1)


class BundleRun(_Part):
    """The whole of `run.yaml`."""

    title: str
    pairs: list[BundlePair] = Field(min_length=1)
    bootstrap: BundleBootstrap | None = None
    """Only in a bundle made by hand; an exported one has it in its environment."""
    run_id: ForeignName | None = None
    series_name: str | None = None
    series_number: int | None = Field(default=None, ge=-MOST_WHOLE - 1, le=MOST_WHOLE)
    kind: RunKind = "imported"
    experiment_yaml: str | None = None
    nlareport_version: str = __version__
    schema_version: int = SCHEMA_VERSION
    seed: int | None = Field(default=None, ge=-(2**63), le=2**63 - 1)
    created_at: datetime | None = None
    environment: Annotated[dict[str, Any], AfterValidator(storable)] = {}
    reducer: Reducer = "mean"

    def row(self, name: str) -> Run:
        """The run as a row; `name` is its id where the description gives it none."""
        given = self.model_dump(exclude={"pairs", "bootstrap"})
        given["run_id"] = name if self.run_id is None else self.run_id
        moment = self.created_at or datetime.now(UTC)
        given["created_at"] = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # The file it goes into has this version's tables, whichever the bundle was exported from.
        given["schema_version"] = SCHEMA_VERSION
        return Run(**given)

    def drawn(self) -> Bootstrap:
        """How intervals are drawn: as stated here, or as an exported environment says, or as by default."""
        if self.bootstrap is None:
            return bootstrap_of(self.environment)
        return Bootstrap(self.bootstrap.draws, self.bootstrap.seed)

    def pair_rows(self) -> list[Pair]:
        """The pairs as rows."""
        return [pair.row(place) for place, pair in enumerate(self.pairs)]


def run_yaml(run: Run, pairs: list[Pair]) -> str:
    """The text of `run.yaml`: every column of the run and of its pairs."""
    said = {name: getattr(run, name) for name in column_types(Run)}
    said["created_at"] = run.created_at.isoformat()
    said["pairs"] = [{name: getattr(pair, name) for name in column_types(Pair)} for pair in pairs]
    return text_of(said)


def read_run_yaml(folder: Path, faults: Faults) -> BundleRun | None:
    """The bundle's `run.yaml`; None when its faults, which are noted, make it useless."""
    path = folder / "run.yaml"
    advice = "A bundle needs a run.yaml with a title and its pairs."
    try:
        text = yaml_text(path, BundleInvalid, advice, MOST_RUN_YAML_BYTES)
        described = BundleRun.model_validate(mapping_in(text, path, BundleInvalid, "run", "`title` and `pairs`"))
    except BundleInvalid as error:
        faults.lines.append(str(error))
        return None
    except ValidationError as error:
        faults.lines.extend(validation_faults(error, path))
        return None
    times = Counter(pair.pair_id for pair in described.pairs)
    for name in sorted(name for name, n in times.items() if n > 1):
        faults.add(path, f"pairs: {shown(name)} is used twice; ids must be unique, so keep one of them.")
    if not OLDEST_SCHEMA_VERSION <= described.schema_version <= SCHEMA_VERSION:
        faults.add(
            path,
            f"schema_version is {described.schema_version}, this nlareport reads {OLDEST_SCHEMA_VERSION} to "
            f"{SCHEMA_VERSION}; export the bundle again with this version.",
        )
    return described


def pair_ids(described: BundleRun) -> list[PairId]:
    """The ids that `source`, `target` and `pair_id` may hold."""
    return [PairId(pair.pair_id) for pair in described.pairs]
