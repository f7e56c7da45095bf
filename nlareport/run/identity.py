"""Describes a run before anything is computed: its row, its pairs, its conditions, and how two experiments differ.

Takes an experiment and the open engines, returns a `Run` and its `Pair` rows. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any

from nlareport import __version__
from nlareport.checkpoints.answers import ANSWER_RULE
from nlareport.checkpoints.sidecar import Sidecar
from nlareport.engines import Engines
from nlareport.experiment.corpus_section import MIN_LEFT_CONTEXT, VectorsCorpus
from nlareport.experiment.experiment_file import Experiment
from nlareport.experiment.pair_section import TextsSpec
from nlareport.rows.run_rows import Pair, PairId, Run

RECORDED_LIBRARIES = ("numpy", "polars")
"""Libraries that every run computes with; the engines name theirs."""
N_LATER = 20
"""How many later conditions a run remembers."""
HALVES = ("verbalizer", "reconstructor")
FREE_TO_CHANGE = ("title", "series", "scoring", "compute")
"""Sections that may change between two calls: what was computed stays right, or is only arithmetic to redo."""


def conditions(experiment: Experiment, engines: Engines) -> dict[str, Any]:
    """The conditions that answers are computed under now: what may change from one start to the next."""
    return {
        "device": engines.device,
        **({"machine": engines.machine} if engines.machine else {}),
        "dtype": experiment.compute.dtype,
        "batch_size": experiment.compute.batch_size,
        "libraries": {**engines.libraries, **{name: version(name) for name in RECORDED_LIBRARIES}},
    }


def with_later_conditions(environment: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a run that continues under these conditions.

    Those it began under stay. Others are listed once each under ``later``, as far as they differ from those, in order
    of first use; of very many only the last few are kept.
    """
    began, later = dict(environment), [dict(entry) for entry in environment.get("later", [])]
    other = {name: value for name, value in now.items() if began.get(name) != value}
    if not other or other in later:
        return began
    return {**began, "later": [*later, other][-N_LATER:]}


def with_smaller_batches(environment: Mapping[str, Any], pair_id: str, role: str, n_rows: int) -> dict[str, Any]:
    """The environment of a run in which one model had memory for no more than `n_rows` at once.

    The smallest number stays, by pair and role under ``smaller_batches``: some texts were written in such batches.
    """
    smaller: dict[str, dict[str, int]] = environment.get("smaller_batches", {})
    roles = smaller.get(pair_id, {})
    roles = {**roles, role: min(n_rows, roles.get(role, n_rows))}
    return {**environment, "smaller_batches": {**smaller, pair_id: roles}}


def describe_run(
    experiment: Experiment,
    text: str,
    schema_version: int,
    engines: Engines,
    moment: datetime,
    special_ids: Collection[int],
) -> Run:
    """The row of a run that is begun at this moment; `special_ids` are those at which no position is drawn."""
    series = experiment.series
    environment = {
        "engine": str(engines.choice),
        **conditions(experiment, engines),
        "answer_rule": ANSWER_RULE,
        **_unlike_the_protocol(experiment),
        # In one text: a list would become one fact for each.
        "special_ids": ", ".join(map(str, sorted(special_ids))),
    }
    return Run(
        run_id=experiment.experiment,
        title=experiment.title,
        series_name=series.name if series else None,
        series_number=series.number if series else None,
        kind="computed",
        experiment_yaml=text,
        nlareport_version=__version__,
        schema_version=schema_version,
        seed=experiment.sampling.seed,
        created_at=moment,
        environment=environment,
    )


def _unlike_the_protocol(experiment: Experiment) -> dict[str, Any]:
    """What the report's queries need to know of items that are not drawn as the protocol says."""
    if isinstance(experiment.corpus, VectorsCorpus):
        return {"vectors": "given"}
    least = experiment.sampling.least_left_context
    return {} if least == MIN_LEFT_CONTEXT else {"min_left_context": least}


def describe_pairs(
    experiment: Experiment, sidecars: Mapping[PairId, Sidecar | None], base_models: Mapping[PairId, str]
) -> list[Pair]:
    """One row per pair, in the experiment's order; scales as the verbalizer's sidecar says, geometry still unknown."""
    rows = []
    for ordinal, pair in enumerate(experiment.entries):
        pair_id = PairId(pair.pair_id)
        if isinstance(pair, TextsSpec):
            rows.append(_describe_texts(pair, ordinal))
            continue
        sidecar = sidecars.get(pair_id)
        rows.append(
            Pair(
                pair_id=pair_id,
                label=pair.label,
                family=pair.family,
                base_model=base_models[pair_id],
                block_index=pair.block_index,
                d_model=pair.d_model,
                injection_scale=sidecar.injection_scale if sidecar else None,
                mse_scale=sidecar.mse_scale if sidecar else None,
                variance_nrm=None,
                mean_norm=None,
                sidecar_variance_nrm=pair.sidecar_variance_nrm,
                ordinal=ordinal,
                writes=pair.writes,
                reads=pair.reads,
            )
        )
    return rows


def _describe_texts(texts: TextsSpec, ordinal: int) -> Pair:
    """A source of texts, of which there is nothing to measure but what its texts are worth."""
    return Pair(
        pair_id=PairId(texts.pair_id),
        label=texts.label,
        family=texts.family,
        base_model=None,
        block_index=None,
        d_model=None,
        injection_scale=None,
        mse_scale=None,
        variance_nrm=None,
        mean_norm=None,
        sidecar_variance_nrm=None,
        ordinal=ordinal,
        reads=False,
    )


def with_geometry_of(stored: Pair | None, described: Pair, *, are_scales_known: bool = True) -> Pair:
    """A pair as the experiment now describes it, with what was already measured of it.

    Of one whose sidecar is not here, the scales stay as they were too.
    """
    if stored is None:
        return described
    if not are_scales_known:
        described = replace(described, injection_scale=stored.injection_scale, mse_scale=stored.mse_scale)
    return replace(described, variance_nrm=stored.variance_nrm, mean_norm=stored.mean_norm)


def restate_pairs(stored: Sequence[Pair], experiment: Experiment) -> list[Pair]:
    """The pairs with what their experiment, and no checkpoint, may say differently of them now."""
    published = {pair.pair_id: pair.sidecar_variance_nrm for pair in experiment.pairs}
    return [replace(pair, sidecar_variance_nrm=published.get(pair.pair_id)) for pair in stored]


def reword_run(run: Run, experiment: Experiment, text: str) -> Run:
    """The run under its experiment's new wording."""
    series = experiment.series
    return replace(
        run,
        title=experiment.title,
        series_name=series.name if series else None,
        series_number=series.number if series else None,
        experiment_yaml=text,
    )


def differences(stored: Experiment, asked: Experiment, optional: Collection[str]) -> list[str]:
    """Keys that cannot change under what was already computed; more items or draws, a longer corpus, new scoring can.

    So can the `optional` keys, those of stages that not every run has. Pairs can be added and put in another order, and
    half a pair can get the half it lacks; none can be taken out.
    """
    free = {*FREE_TO_CHANGE, *optional}
    before = _binding(stored, free)
    found = _differing(before, _without_additions(_binding(asked, free), before), "")
    # What is written stays written: a run of fewer draws would be another one.
    fewer = ["decoding.draws"] if asked.decoding.draws < stored.decoding.draws else []
    return sorted([*found, *fewer])


def _binding(experiment: Experiment, free: set[str]) -> dict[str, Any]:
    content = experiment.model_dump(mode="json", exclude=free)
    content["dtype"] = experiment.compute.dtype
    content["sampling"].pop("n_items")
    content["decoding"].pop("draws")
    # Every document is sampled for itself, so a corpus may grow at its end.
    content["corpus"].pop("last_index", None)
    # Stated or by default, it is the same.
    content["sampling"]["min_left_context"] = experiment.sampling.least_left_context
    # Where a file lies is no part of what it says: its texts are held to their digests.
    content["corpus"].pop("path", None)
    worded = {"label", "family", "sidecar_variance_nrm"}
    content.pop("entries")
    content["pairs"] = {
        entry.pair_id: entry.model_dump(mode="json", exclude=worded | ({"path"} if entry.kind == "texts" else set()))
        for entry in experiment.entries
    }
    return content


def _without_additions(asked: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """What is asked without the pairs, and the halves of pairs, that the stored experiment does not have yet."""
    pairs = {}
    for name, known in stored["pairs"].items():
        if (pair := asked["pairs"].get(name)) is not None:
            pairs[name] = {key: None if known.get(key, "") is None and key in HALVES else pair[key] for key in pair}
    return {**asked, "pairs": pairs}


def _differing(stored: Any, asked: Any, key: str) -> list[str]:
    if not isinstance(stored, dict) or not isinstance(asked, dict):
        return [] if stored == asked else [key]
    names = list({**stored, **asked})
    return [
        fault
        for name in names
        for fault in _differing(stored.get(name), asked.get(name), f"{key}.{name}" if key else name)
    ]
