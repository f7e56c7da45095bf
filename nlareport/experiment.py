"""The experiment file (YAML): its keys, their defaults and limits, and how it is read and checked.

Returns an `Experiment`, or raises one error that lists every fault with file, key and what would be right.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from nlareport.errors import ExperimentInvalid
from nlareport.files.yaml_files import mapping_in, validation_faults, yaml_text
from nlareport.rows.ablation_methods import WHOLE_TEXT_METHODS, AblationMethod, cut_of
from nlareport.rows.run_rows import Reducer
from nlareport.shown import printable

FOLDERS_OF_A_RUN = {"documents", "reconstructions"}
"""Folders in ``<run>.activations/`` other than the pairs' own."""


class Section(BaseModel):
    """A section of the file; an unknown key in it is a fault, not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


MOST_WHOLE = 2**31 - 1
"""Largest whole number that an integer column of a run file holds."""

Index = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _no_folder(name: str) -> str:
    """The name, unless it means the current or the parent folder to a file system."""
    if name in {".", ".."}:
        raise ValueError("stands for a folder; choose another name")
    return name


def _writing(name: str) -> str:
    """The name, unless it holds invisible characters, with which two names may look alike."""
    if printable(name) != name or name != name.strip() or set(name) & {"\t", "\n"}:
        raise ValueError("holds control characters, invisible ones or spaces at an end; choose another name")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=100), AfterValidator(_no_folder)]
"""The name of a run or a pair of an experiment: it is used in addresses and file names."""

ForeignName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_folder), AfterValidator(_writing)]
"""The name of a run or a pair that was made elsewhere: any text on one line. Files and addresses use a form of it
(`file_names`)."""


class Series(Section):
    """The series a report belongs to."""

    name: str
    number: int | None = Field(default=None, ge=-MOST_WHOLE, le=MOST_WHOLE)


class Indexed(Section):
    """A corpus of which the documents from one index to another are read, both included."""

    first_index: Index = 0
    last_index: Index | None = None
    """None: to the end of the corpus."""

    @model_validator(mode="after")
    def _in_order(self) -> "Indexed":
        if self.last_index is not None and self.first_index > self.last_index:
            raise ValueError(
                f"first_index {self.first_index} is above last_index {self.last_index}, so no document lies between "
                "them; swap them"
            )
        return self


class HuggingFaceCorpus(Indexed):
    """A slice of a dataset on the hub, read by streaming."""

    kind: Literal["huggingface"]
    name: str
    """Repository id; with `split` and the index it makes each `doc_id`."""
    config: str | None = None
    split: str
    text_column: str
    first_index: Index
    last_index: Index


class LocalCorpus(Indexed):
    """A Parquet, JSONL or plain-text file; in plain text, blank lines separate documents."""

    kind: Literal["local"]
    name: str
    path: Path
    """Relative paths start at the experiment file's folder."""
    split: str = "local"
    text_column: str = "text"


class PocketCorpus(Indexed):
    """The news articles that are installed as a package, those that no pocket pair was trained on."""

    kind: Literal["pocket"]


Corpus = Annotated[HuggingFaceCorpus | LocalCorpus | PocketCorpus, Field(discriminator="kind")]


class Sampling(Section):
    """Stage 0: which positions become items."""

    seed: int = Field(ge=-(2**63), le=2**63 - 1)
    n_items: int = Field(ge=2)
    positions_per_document: int = Field(default=1, ge=1)
    truncation_tokens: int = Field(default=2048, ge=51)
    reference_pair: str
    """The pair in whose tokenization positions are drawn."""


Stream = Literal["float32", "model"]


class Decoding(Section):
    """How a verbalizer writes; always greedy."""

    max_new_tokens: int = Field(default=300, ge=1)
    stream: Stream = "float32"
    """The dtype of the residual stream. `float32`: 32 bits where vectors enter at a norm of 1,000 or more or at their
    own, else the model's, which is `compute.dtype`. `model`: always the model's, as the public server computes."""


class Compute(Section):
    """How much is done at once; it changes speed and memory, not the protocol."""

    batch_size: int = Field(default=16, ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"


def overflow_advice(dtype: str) -> str:
    """What to do about numbers too large for `compute.dtype`; empty for float32, which holds what weights can give."""
    wider = {"float16": "bfloat16 or float32", "bfloat16": "float32"}.get(dtype)
    return f"Set compute.dtype to {wider} in the experiment file and give another --db." if wider else ""


class Scoring(Section):
    """Choices that the protocol leaves open; the report states them."""

    unclean: Literal["unscored", "raw", "penalty"] = "unscored"
    """`raw` scores the whole answer, `penalty` gives mse_nrm 2.0."""
    bootstrap_draws: int = Field(default=10_000, ge=100)
    variance: Literal["fixed", "resampled"] = "fixed"
    """Whether V is recomputed on every bootstrap draw."""
    permutations: int = Field(default=1, ge=1)
    reducer: Reducer = "mean"
    """How the scores of an item's draws become one."""


class PairSpec(Section):
    """One NLA pair: what to load and what to call it."""

    pair_id: Name
    label: str
    family: str
    base_model: str
    """Hub id or checkpoint directory the activations are read from."""
    block_index: int = Field(ge=0, le=MOST_WHOLE)
    d_model: int = Field(ge=1, le=MOST_WHOLE)
    injection_scale: float | None = None
    """What the sidecar is expected to say; checked, never used instead of it."""
    verbalizer: str
    """Hub id, checkpoint directory, or ``pocket:PAIR_ID/av``."""
    reconstructor: str
    sidecar_variance_nrm: float | None = Field(default=None, gt=0)


def _known_method(name: str) -> str:
    """The name, if there is such an ablation."""
    if name not in WHOLE_TEXT_METHODS and cut_of(name) is None:
        known = ", ".join(WHOLE_TEXT_METHODS)
        raise ValueError(f"is no ablation; choose from {known}, first_N_tokens and last_N_tokens (N from 1)")
    return name


class Experiment(Section):
    """Everything a run is computed from."""

    experiment: Name
    title: str
    series: Series | None = None
    corpus: Corpus
    sampling: Sampling
    decoding: Decoding = Decoding()
    compute: Compute = Compute()
    scoring: Scoring = Scoring()
    ablations: list[Annotated[AblationMethod, AfterValidator(_known_method)]] = []
    """Changes made to explanations before they are read once more; none unless asked for."""
    ablation_items: int | None = Field(default=None, ge=2)
    """How many of the run's first items have their explanations changed; None: all."""
    plain_words: list[PositiveInt] = []
    """How many of the last words before an item are read instead of an explanation; none unless asked for."""
    pairs: list[PairSpec] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_agree(self) -> "Experiment":
        pair_ids = [pair.pair_id for pair in self.pairs]
        twice = sorted({name for name in pair_ids if pair_ids.count(name) > 1})
        if twice:
            raise ValueError(f"pairs: pair_id {', '.join(twice)} is used twice; ids must be unique")
        if twice := sorted({method for method in self.ablations if self.ablations.count(method) > 1}):
            raise ValueError(f"ablations: {', '.join(twice)} is listed twice; name every method once")
        if repeated := sorted({n for n in self.plain_words if self.plain_words.count(n) > 1}):
            raise ValueError(f"plain_words: {', '.join(map(str, repeated))} is listed twice; name every number once")
        if taken := sorted(FOLDERS_OF_A_RUN & set(pair_ids)):
            raise ValueError(f"pairs: {', '.join(taken)} is a folder that every run has; choose another pair_id")
        if self.sampling.reference_pair not in pair_ids:
            raise ValueError(
                f"sampling.reference_pair: {self.sampling.reference_pair!r} is none of the pairs "
                f"({', '.join(pair_ids)}); name one of them"
            )
        return self


def load_experiment(path: Path) -> Experiment:
    """The experiment in a YAML file.

    Raises:
        ExperimentInvalid: the file is missing, is not YAML, or has faults; every fault is listed.
    """
    return parse_experiment(experiment_text(path), path)


def experiment_text(path: Path) -> str:
    """The text of an experiment file.

    Raises:
        ExperimentInvalid: it is missing, not a regular file, too large, or not UTF-8 text.
    """
    return yaml_text(path, ExperimentInvalid, "Give the path of an experiment file.")


def parse_experiment(text: str, path: Path) -> Experiment:
    """The experiment in a YAML text; `path` is what faults are reported under.

    Raises:
        ExperimentInvalid: the text is not YAML or has faults; every fault is listed.
    """
    content = mapping_in(text, path, ExperimentInvalid, "experiment", "`experiment` and `pairs`")
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentInvalid("\n".join(validation_faults(error, path))) from error
