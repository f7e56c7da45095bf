"""Golden scores: measures pairs again at recorded places and texts, and compares with the scores recorded there.

Takes an experiment, which says what a pair is, and a golden file, returns a `CheckReport`. Opens a pair's base model
and its AR, one after the other; its AV only to write the texts of a file that is still to be recorded.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from nlareport.backends import Engine, EngineSettings, load_engine
from nlareport.checkpoints.prompts import explanation_in
from nlareport.checks import CheckReport, GoldenOutcome
from nlareport.errors import GoldenInvalid
from nlareport.experiment import Experiment, PairSpec, load_experiment
from nlareport.files.atomic_files import write_whole
from nlareport.golden_files import GoldenCase, golden_text, read_golden
from nlareport.pairs.locating import locate_pocket_pair
from nlareport.ports import Progress, Tokenizer
from nlareport.review import golden_scores
from nlareport.review.golden_scores import Measurement, WrittenTexts
from nlareport.rows.run_rows import PairId
from nlareport.run.start import stored_experiment
from nlareport.shown import shown
from nlareport.stages import extract, sample
from nlareport.statistics.geometry import mse_nrm
from nlareport.store.whole_run import read_run

YAML_ENDINGS = (".yaml", ".yml")


def hold_against_golden(
    file: Path, golden: Path, asked: str | None, progress: Progress, device: str, *, record: bool, with_texts: bool
) -> CheckReport:
    """How the pairs of an experiment, or of a run, score what was recorded of them; or records it now.

    Raises:
        GoldenInvalid: the golden file has faults, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    if not record:
        return check_golden(file, golden, asked, progress, device, with_texts=with_texts)
    n_recorded = record_golden(file, golden, asked, progress, device)
    return CheckReport([], notes=[f"{golden}: {n_recorded} scores recorded."])


def check_golden(
    path: Path, golden_path: Path, asked: str | None, progress: Progress, device: str, *, with_texts: bool
) -> CheckReport:
    """How an experiment's pairs, or the one asked for, score what was recorded of them; `path` may be a run of it.

    `with_texts` has their AVs write of every place too, and holds those texts against the recorded ones.

    Raises:
        GoldenInvalid: the golden file has faults, is still to be recorded, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    experiment, (golden, recorder) = _experiment_at(path), read_golden(golden_path)
    if lacking := [case.name for case in golden.cases if case.explanation is None or case.mse_nrm is None]:
        raise GoldenInvalid(
            f"{golden_path}: {len(lacking)} cases have no explanation or no mse_nrm, {lacking[0]} is the first. "
            'Record them with "nlareport check EXPERIMENT --golden FILE --record".'
        )
    outcomes: list[GoldenOutcome] = []
    texts: list[WrittenTexts] = []
    for spec, cases in golden_scores.cases_by_pair(experiment, golden, recorder, asked, golden_path):
        reading = _Reading(experiment, spec, progress, device)
        vectors = reading.vectors(cases)
        own = reading.written(cases, vectors) if with_texts else []
        # All texts at once: the reconstructor is opened one time.
        found = reading.scores([*cases, *own], [*vectors, *vectors[: len(own)]])
        pair_id, dtype = PairId(spec.pair_id), experiment.compute.dtype
        rows = zip(cases, found, strict=False)
        outcomes += [golden_scores.outcome(pair_id, golden, case, one, dtype) for case, one in rows]
        if own:
            texts.append(golden_scores.written_texts(pair_id, cases, own, found[len(cases) :]))
    faults = golden_scores.golden_faults(outcomes) + golden_scores.text_faults(texts)
    return CheckReport([], golden=outcomes, faults=faults, notes=[row.sentence for row in texts])


def record_golden(path: Path, golden_path: Path, asked: str | None, progress: Progress, device: str) -> int:
    """How many scores were written into the golden file; a case without an explanation gets its pair's own.

    Raises:
        GoldenInvalid: the golden file has faults, is a transcript, or is of no pair of the experiment.
        NlareportError: the experiment or a checkpoint is not as it must be.
    """
    experiment, (golden, recorder) = _experiment_at(path), read_golden(golden_path)
    if recorder is not None:
        raise GoldenInvalid(
            f"{golden_path}: is a transcript of another's figures. Give a golden file (YAML) to record."
        )
    recorded: dict[int, GoldenCase] = {}
    for spec, cases in golden_scores.cases_by_pair(experiment, golden, recorder, asked, golden_path):
        reading = _Reading(experiment, spec, progress, device)
        vectors = reading.vectors(cases)
        written = reading.explained(cases, vectors)
        for case, new, found in zip(cases, written, reading.scores(written, vectors), strict=True):
            if isinstance(found, str):
                raise GoldenInvalid(f"{golden_path}: {case.name}: {found}. Correct the case.")
            figures = {"mse_nrm": _rounded(found.mse_nrm), "activation_norm": _rounded(found.activation_norm)}
            recorded[id(case)] = new.model_copy(update={"pair": spec.pair_id, **figures})
    cases = [recorded.get(id(case), case) for case in golden.cases]
    facts = {"cases": cases, "dtype": experiment.compute.dtype, "decimals": None}
    write_whole(golden_path, golden_text(golden.model_copy(update=facts)).encode())
    return len(recorded)


def _rounded(value: float) -> float:
    """Six digits: more than any dtype repeats."""
    return float(f"{value:.6g}")


def _experiment_at(path: Path) -> Experiment:
    return load_experiment(path) if path.suffix in YAML_ENDINGS else stored_experiment(read_run(path).run, path)


class _Reading:
    """One pair read at the places of a golden file."""

    def __init__(self, experiment: Experiment, spec: PairSpec, progress: Progress, device: str) -> None:
        compute, decoding = experiment.compute, experiment.decoding
        self._spec, self._dtype, self._progress = locate_pocket_pair(spec, progress), compute.dtype, progress
        self._engine: Engine = load_engine(
            "transformers",
            EngineSettings(device, compute.dtype, compute.batch_size, decoding.max_new_tokens, decoding.stream),
        )
        self._engine.check(self._spec)

    def vectors(self, cases: Sequence[GoldenCase]) -> list[Float[np.ndarray, " d_model"] | str]:
        """The activation at every case's place, or what stands there instead of what was recorded."""
        tokenizer = self._engine.tokenizer(self._spec)
        places = [_prefix(case, tokenizer) for case in cases]
        prefixes = [place for place in places if not isinstance(place, str)]
        self._progress.stage(f"extract {self._spec.pair_id}", len(prefixes), 0)
        if not prefixes:
            return [str(place) for place in places]
        with self._engine.extractor(self._spec) as extractor:
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
        with self._engine.verbalizer(self._spec) as verbalizer:
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
        with self._engine.reconstructor(self._spec) as reconstructor:
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
