"""Golden scores: measures pairs again at recorded places and texts, and compares with the scores recorded there.

Takes an experiment, which says what a pair is, and a golden file; returns a `CheckReport`. Opens a pair's base model
and its AR, one after the other; its AV only to write the texts of a file that is still to be recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nlareport.backends import load_engines
from nlareport.checkpoints.prompts import explanation_in
from nlareport.checks import CheckReport, GoldenOutcome
from nlareport.engine_options import ModelOptions
from nlareport.errors import GoldenInvalid
from nlareport.experiment.experiment_file import Experiment, load_experiment
from nlareport.experiment.pair_section import PairSpec
from nlareport.files.atomic_files import write_whole
from nlareport.golden_files import GoldenCase, golden_text, read_golden
from nlareport.pairs.locating import locate_pocket_pair
from nlareport.ports import Progress, Tokenizer
from nlareport.review import golden_scores
from nlareport.review.golden_scores import Measurement, WrittenTexts
from nlareport.rows.run_rows import PairId
from nlareport.run.start import read_stored_experiment
from nlareport.shown import shown
from nlareport.stages import extract, sample
from nlareport.statistics.geometry import mse_nrm
from nlareport.store.whole_run import read_run

YAML_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """A golden file, and whose pairs are measured against it."""

    path: Path
    """An experiment (YAML), or a run of it."""
    golden: Path
    pair: str | None = None
    """The one pair to measure; None for all the file is of."""
    models: ModelOptions = field(default_factory=ModelOptions)
    with_texts: bool = False
    """Whether the pairs' AVs write of every place too, to compare those texts with the recorded ones."""


def check_against_golden(request: GoldenRequest, progress: Progress) -> CheckReport:
    """How an experiment's pairs, or the one asked for, score what was recorded of them.

    Raises:
        GoldenInvalid: the golden file has faults, is still to be recorded, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    experiment, (golden, recorder) = _experiment_at(request.path), read_golden(request.golden)
    if lacking := [case.name for case in golden.cases if case.explanation is None or case.mse_nrm is None]:
        raise GoldenInvalid(
            f"{request.golden}: {len(lacking)} cases have no explanation or no mse_nrm, {lacking[0]} is the first. "
            'Record them with "nlareport check EXPERIMENT --golden FILE --record".'
        )
    outcomes: list[GoldenOutcome] = []
    texts: list[WrittenTexts] = []
    for spec, cases in golden_scores.cases_by_pair(experiment, golden, recorder, request.pair, request.golden):
        reading = _Reading(experiment, spec, progress, request.models)
        vectors = reading.vectors(cases)
        own = reading.written(cases, vectors) if request.with_texts else []
        # All texts at once: the reconstructor is opened one time.
        found = reading.scores([*cases, *own], [*vectors, *vectors[: len(own)]])
        pair_id, dtype = PairId(spec.pair_id), experiment.compute.dtype
        rows = zip(cases, found, strict=False)
        outcomes += [golden_scores.outcome(pair_id, golden, case, one, dtype) for case, one in rows]
        if own:
            texts.append(golden_scores.written_texts(pair_id, cases, own, found[len(cases) :]))
    faults = golden_scores.golden_faults(outcomes) + golden_scores.text_faults(texts)
    return CheckReport([], golden=outcomes, faults=faults, notes=[row.sentence for row in texts])


def record_golden(request: GoldenRequest, progress: Progress) -> CheckReport:
    """Writes what is measured into the golden file, and reports how many scores; nothing is compared.

    A case without an explanation gets its pair's own.

    Raises:
        GoldenInvalid: the golden file has faults, is a transcript, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    experiment, (golden, recorder) = _experiment_at(request.path), read_golden(request.golden)
    if recorder is not None:
        raise GoldenInvalid(
            f"{request.golden}: is a transcript of another's figures. Give a golden file (YAML) to record."
        )
    recorded: dict[int, GoldenCase] = {}
    for spec, cases in golden_scores.cases_by_pair(experiment, golden, recorder, request.pair, request.golden):
        reading = _Reading(experiment, spec, progress, request.models)
        vectors = reading.vectors(cases)
        written = reading.explained(cases, vectors)
        for case, new, found in zip(cases, written, reading.scores(written, vectors), strict=True):
            if isinstance(found, str):
                raise GoldenInvalid(f"{request.golden}: {case.name}: {found}. Correct the case.")
            figures = {"mse_nrm": _rounded(found.mse_nrm), "activation_norm": _rounded(found.activation_norm)}
            recorded[id(case)] = new.model_copy(update={"pair": spec.pair_id, **figures})
    cases = [recorded.get(id(case), case) for case in golden.cases]
    facts = {"cases": cases, "dtype": experiment.compute.dtype, "decimals": None}
    write_whole(request.golden, golden_text(golden.model_copy(update=facts)).encode())
    return CheckReport([], notes=[f"{request.golden}: {len(recorded)} scores recorded."])


def _rounded(value: float) -> float:
    """Six digits: more than any dtype repeats."""
    return float(f"{value:.6g}")


def _experiment_at(path: Path) -> Experiment:
    return load_experiment(path) if path.suffix in YAML_ENDINGS else read_stored_experiment(read_run(path).run, path)


class _Reading:
    """One pair read at the places of a golden file."""

    def __init__(self, experiment: Experiment, spec: PairSpec, progress: Progress, models: ModelOptions) -> None:
        self._engines = load_engines(models.engines, models.settings(experiment))
        self._spec, self._progress = locate_pocket_pair(spec, progress), progress
        self._dtype = experiment.compute.dtype
        self._engines.check(self._spec)

    def vectors(self, cases: Sequence[GoldenCase]) -> list[Float[np.ndarray, " d_model"] | str]:
        """The activation at every case's place, or what stands there instead of what was recorded."""
        tokenizer = self._engines.base_model.tokenizer(self._spec)
        places = [_prefix(case, tokenizer) for case in cases]
        prefixes = [place for place in places if not isinstance(place, str)]
        self._progress.stage(f"extract {self._spec.pair_id}", len(prefixes), 0)
        if not prefixes:
            return [str(place) for place in places]
        with self._engines.base_model.extractor(self._spec) as extractor:
            numbers, pair_id = range(len(prefixes)), PairId(self._spec.pair_id)
            rows = iter(extract.extract(prefixes, numbers, pair_id, extractor, self._dtype).vectors)
        self._progress.advance(len(prefixes))
        return [place if isinstance(place, str) else next(rows) for place in places]

    def written(
        self, cases: Sequence[GoldenCase], vectors: Sequence[Float[np.ndarray, " d_model"] | str]
    ) -> list[GoldenCase]:
        """The cases, each with what the pair's AV writes of its vector: its explanation, else its whole answer."""
        found = {place: vector for place, vector in enumerate(vectors) if not isinstance(vector, str)}
        if not found:
            return list(cases)
        self._progress.stage(f"verbalize {self._spec.pair_id}", len(found), 0)
        with self._engines.verbalizer.verbalizer(self._spec) as verbalizer:
            completions = verbalizer.verbalize(np.stack(list(found.values())))
        self._progress.advance(len(found))
        texts = {place: one.text for place, one in zip(found, completions, strict=True)}
        return [
            case.model_copy(update={"explanation": explanation_in(texts.get(place, "")) or texts.get(place)})
            for place, case in enumerate(cases)
        ]

    def explained(
        self, cases: Sequence[GoldenCase], vectors: Sequence[Float[np.ndarray, " d_model"] | str]
    ) -> list[GoldenCase]:
        """The cases, each with an explanation: its own, or what the pair's AV writes of its vector."""
        if all(case.explanation is not None for case in cases):
            return list(cases)
        written = self.written(cases, vectors)
        return [case if case.explanation is not None else new for case, new in zip(cases, written, strict=True)]

    def scores(
        self, cases: Sequence[GoldenCase], vectors: Sequence[Float[np.ndarray, " d_model"] | str]
    ) -> list[Measurement | str]:
        """How well the AR recovers every vector from its case's explanation, or why that cannot be said."""
        read = {place: vector for place, vector in enumerate(vectors) if not isinstance(vector, str)}
        found: list[Measurement | str] = [vector if isinstance(vector, str) else "" for vector in vectors]
        if not read:
            return found
        self._progress.stage(f"reconstruct {self._spec.pair_id}", len(read), 0)
        with self._engines.reconstructor.reconstructor(self._spec) as reconstructor:
            texts = [cases[place].explanation or "" for place in read]
            reconstructions = reconstructor.reconstruct(texts)
        self._progress.advance(len(read))
        for (place, vector), reconstruction in zip(read.items(), reconstructions, strict=True):
            if np.isfinite(reconstruction).all() and reconstruction.any():
                error = float(mse_nrm(vector[None], reconstruction[None])[0])
                found[place] = Measurement(error, float(np.linalg.norm(vector.astype(np.float64))))
            else:
                found[place] = "stands a text that the reconstructor makes no vector of"
        return found


def _prefix(case: GoldenCase, tokenizer: Tokenizer) -> list[int] | str:
    """The token ids up to a case's place, or what stands there instead of the token that was recorded."""
    cut = tokenizer.tokenize(case.text, None)
    # A chat's text begins with its BOS, and the tokenizer put one before it.
    twice = int(
        len(cut.token_ids) > 1 and cut.token_ids[0] == cut.token_ids[1] and cut.token_ids[0] in tokenizer.special_ids
    )
    token_ids, starts, ends = cut.token_ids[twice:], cut.char_starts[twice:], cut.char_ends[twice:]
    if case.token_index is None:
        index = sample.align(cut, len(case.text))[0] - twice
    elif case.token_index < len(token_ids):
        index = case.token_index
    else:
        return f"the text ends, after {len(token_ids)} tokens"
    said = case.text[starts[index] : ends[index]]
    # A piece of a character was recorded as the sign for what is none.
    is_same = case.token is None or "�" in case.token or said.strip() == case.token.strip()
    return token_ids[: index + 1] if is_same else f"stands the token {shown(said)} instead of {shown(case.token)}"
