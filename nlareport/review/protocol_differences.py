"""Protocol differences: how two runs were made, and where that differs.

Takes a run's own row and its pairs, returns one text per key, and the keys on which two runs disagree. Keys are those
of the experiment file, also for published figures, so that either kind can be compared with the other. What a run
measured is no part of it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlareport.comparison import ProtocolDifference
from nlareport.experiment.decoding_section import Decoding
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.rows.run_rows import Pair, PairId, Run

UNASKED = {"decoding.mode": "greedy", "scoring.metric": "fve_nrm", "scoring.denominator": "raw-mean"}
"""What a computed run does without being asked; a published page may have done it differently."""

PUBLISHED_KEYS = {
    ("substrate", "corpus"): "corpus.name",
    ("substrate", "config"): "corpus.config",
    ("substrate", "first_doc"): "corpus.first_index",
    ("substrate", "last_doc"): "corpus.last_index",
    ("substrate", "positions_per_doc"): "sampling.positions_per_document",
    ("substrate", "truncation_tokens"): "sampling.truncation_tokens",
    ("substrate", "reference_tokenizer"): "sampling.reference_pair",
    ("decode", "mode"): "decoding.mode",
    ("decode", "max_new_tokens"): "decoding.max_new_tokens",
    ("metric", "name"): "scoring.metric",
    ("metric", "denominator"): "scoring.denominator",
}
"""Where a published-figures file says what an experiment file says."""

PAIR_FIELDS = ("family", "base_model", "block_index", "d_model", "injection_scale", "mse_scale")


def stated_protocol(run: Run, pairs: Sequence[Pair], shared: Collection[PairId]) -> dict[str, str]:
    """Everything the run says of how it was made, one text per dotted key; of its pairs only the shared ones.

    Raises:
        ExperimentInvalid: the experiment file inside the run has faults.
    """
    foreign = {pair.pair_id for pair in pairs} - set(shared)
    content: dict[str, Any] = {"kind": run.kind, "nlareport": run.nlareport_version, "sampling": {"seed": run.seed}}
    stated = _flat(content)
    if run.kind == "published":
        stated |= _of_published(run.environment)
    else:
        stated |= _of_environment(run.environment, foreign)
        if run.kind == "computed" and run.experiment_yaml is not None:
            stated |= UNASKED | _of_experiment(run, shared)
    for pair in pairs:
        if pair.pair_id in shared:
            stated |= _flat({"pairs": {pair.pair_id: {name: getattr(pair, name) for name in PAIR_FIELDS}}})
    return stated


def stated_choices(choices: Iterable[Mapping[str, str]], shared: Collection[PairId]) -> dict[str, str]:
    """What was chosen for the shared pairs, one sentence per dotted key; `choices` hold the columns of the table."""
    return {
        f"choices.{row['pair_id']}.{row['role']}.{row['topic']}": row["text"]
        for row in choices
        if row["pair_id"] in shared
    }


def protocol_differences(a: Mapping[str, str], b: Mapping[str, str]) -> list[ProtocolDifference]:
    """The keys whose texts differ: first those both runs state, in A's order, then those only one of them does."""
    both = [key for key in a if key in b]
    once = [key for key in a if key not in b] + [key for key in b if key not in a]
    return [ProtocolDifference(key, a.get(key), b.get(key)) for key in both + once if a.get(key) != b.get(key)]


def _of_experiment(run: Run, shared: Collection[PairId]) -> dict[str, str]:
    experiment = parse_experiment(run.experiment_yaml or "", Path(f"{run.run_id}.yaml"))
    content = experiment.model_dump(mode="json", exclude={"experiment", "title", "series", "pairs"})
    content["decoding"] = _of_decoding(experiment.decoding)
    content["pairs"] = {
        pair.pair_id: {
            "verbalizer": pair.verbalizer,
            "reconstructor": pair.reconstructor,
            "sidecars": pair.sidecars.model_dump(mode="json"),
        }
        for pair in experiment.pairs
        if pair.pair_id in shared
    }
    return _flat(content)


def _of_decoding(decoding: Decoding) -> dict[str, Any]:
    """What is asked of decoding: greedily there is no temperature."""
    content = decoding.model_dump(mode="json")
    if not decoding.is_greedy:
        return {"mode": "drawn", **content}
    return {key: value for key, value in content.items() if key not in ("temperature", "top_p", "draws")}


def _of_published(environment: Mapping[str, Any]) -> dict[str, str]:
    stated = {key: (environment.get(part) or {}).get(name) for (part, name), key in PUBLISHED_KEYS.items()}
    substrate = environment.get("substrate") or {}
    if substrate.get("docs") is not None:
        stated["sampling.n_items"] = substrate["docs"] * (substrate.get("positions_per_doc") or 1)
    return _flat(stated)


def _of_environment(environment: Mapping[str, Any], foreign: Collection[str]) -> dict[str, str]:
    """Device, libraries, checkpoints and what else was recorded; not what scores rest on, which repeats the rest."""
    content = {key: value for key, value in environment.items() if key not in ("scored", "samples")}
    if isinstance(checkpoints := content.get("checkpoints"), dict):
        content["checkpoints"] = {name: digest for name, digest in checkpoints.items() if name not in foreign}
    return _flat(content)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as dotted keys and texts; what is None is not stated."""
    stated: dict[str, str] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            stated |= _flat(value, f"{prefix}{name}.")
        elif value is not None:
            stated[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return stated
