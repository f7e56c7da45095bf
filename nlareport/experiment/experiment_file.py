"""The experiment file (YAML): its keys, their defaults and limits, and how it is read and checked.

Returns an `Experiment`, or raises one error that lists every fault with file, key and what would be right.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, ValidationError, model_validator

from nlareport.errors import ExperimentInvalid
from nlareport.experiment.corpus_section import Corpus, PocketCorpus, Sampling, Tabular, VectorsCorpus, sampling_faults
from nlareport.experiment.decoding_section import Decoding
from nlareport.experiment.pair_section import KINDS, Entry, PairSpec, TextsSpec
from nlareport.experiment.section import MOST_WHOLE, Name, Section
from nlareport.experiment.tag_section import Tags
from nlareport.files.yaml_files import mapping_in, validation_faults, yaml_text
from nlareport.rows.ablation_methods import WHOLE_TEXT_METHODS, AblationMethod, cut_of
from nlareport.rows.run_rows import PairId, Reducer

FOLDERS_OF_A_RUN = {"documents", "reconstructions"}
"""Folders in ``<run>.activations/`` other than the pairs' own."""


class Series(Section):
    """The series a report belongs to."""

    name: str
    number: int | None = Field(default=None, ge=-MOST_WHOLE, le=MOST_WHOLE)


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
    ablations: list[Annotated[AblationMethod, AfterValidator(_known_method)]] = Field(default_factory=list)
    """Changes made to explanations before they are read once more; none unless asked for."""
    ablation_items: int | None = Field(default=None, ge=2)
    """How many of the run's first items have their explanations changed; None: all."""
    plain_words: list[PositiveInt] = Field(default_factory=list)
    """How many of the last words before an item are read instead of an explanation; none unless asked for."""
    tags: Tags = Field(default_factory=dict)
    """What is said of items by name; nothing but what the corpus itself says unless asked for."""
    entries: list[Entry] = Field(alias="pairs", min_length=1)
    """Pairs, halves of pairs and sources of texts, in the order of rows and columns."""

    @property
    def pairs(self) -> list[PairSpec]:
        """The entries with a base model: pairs and halves of pairs."""
        return [entry for entry in self.entries if isinstance(entry, PairSpec)]

    @property
    def texts(self) -> list[TextsSpec]:
        """The sources of texts."""
        return [entry for entry in self.entries if isinstance(entry, TextsSpec)]

    @property
    def sources(self) -> list[PairId]:
        """What writes: a row of the matrix each."""
        return [PairId(entry.pair_id) for entry in self.entries if entry.writes]

    @property
    def targets(self) -> list[PairId]:
        """What reads: a column of the matrix each."""
        return [PairId(entry.pair_id) for entry in self.entries if entry.reads]

    def n_draws(self, source: str) -> int:
        """How many texts a source writes of an item; one where they are given."""
        return 1 if source in {entry.pair_id for entry in self.texts} else self.decoding.draws

    def with_pairs(self, pairs: Sequence[PairSpec]) -> "Experiment":
        """The same experiment with other checkpoints under the ids that it has."""
        other = {pair.pair_id: pair for pair in pairs}
        return self.model_copy(update={"entries": [other.get(entry.pair_id, entry) for entry in self.entries]})

    @property
    def reads_chats(self) -> bool:
        """Whether documents are chats."""
        return isinstance(self.corpus, Tabular) and self.corpus.chat_column is not None

    @model_validator(mode="after")
    def _names_agree(self) -> "Experiment":
        pair_ids = [entry.pair_id for entry in self.entries]
        twice = sorted({name for name in pair_ids if pair_ids.count(name) > 1})
        if twice:
            raise ValueError(f"pairs: pair_id {', '.join(twice)} is used twice; ids must be unique")
        if twice := sorted({method for method in self.ablations if self.ablations.count(method) > 1}):
            raise ValueError(f"ablations: {', '.join(twice)} is listed twice; name every method once")
        if repeated := sorted({n for n in self.plain_words if self.plain_words.count(n) > 1}):
            raise ValueError(f"plain_words: {', '.join(map(str, repeated))} is listed twice; name every number once")
        if taken := sorted(FOLDERS_OF_A_RUN & set(pair_ids)):
            raise ValueError(f"pairs: {', '.join(taken)} is a folder that every run has; choose another pair_id")
        with_models = [pair.pair_id for pair in self.pairs]
        if self.sampling.reference_pair not in with_models:
            raise ValueError(
                f"sampling.reference_pair: {self.sampling.reference_pair!r} is none of the pairs "
                f"({', '.join(with_models)}); name one of them"
            )
        if not self.sources or not self.targets:
            lacking = "verbalizer" if self.targets else "reconstructor"
            raise ValueError(f"pairs: none has a {lacking}, so there would be no cell; add a pair that has one")
        if faults := list(sampling_faults(self.corpus, self.sampling, with_models)):
            raise ValueError("; ".join(faults))
        reads_words = self.plain_words or any(
            isinstance(entry, TextsSpec) and entry.last_words for entry in self.entries
        )
        if reads_words and isinstance(self.corpus, VectorsCorpus):
            raise ValueError("plain_words, last_words: there are no words before given vectors; leave them out")
        if isinstance(self.corpus, PocketCorpus) and (named := [name for name, tag in self.tags.items() if tag.column]):
            raise ValueError(f"tags.{named[0]}: a corpus of kind {self.corpus.kind} has no columns; give a query")
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
        raise ExperimentInvalid("\n".join(validation_faults(error, path, kinds=KINDS))) from error
