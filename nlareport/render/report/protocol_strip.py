"""The protocol strip: how the run was made, in a reader's words, from the experiment file or a published page's own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlareport.checkpoints.answers import ANSWER_RULE
from nlareport.experiment.corpus_section import Every, HuggingFaceCorpus, Listed, LocalCorpus, VectorsCorpus
from nlareport.experiment.decoding_section import Decoding, Stream
from nlareport.experiment.experiment_file import Experiment, parse_experiment
from nlareport.figure_text import count
from nlareport.render.report.query_rows import RunHead
from nlareport.statistics.score_definitions import DEFINITIONS

UNCLEAN_CHOICES = {
    "unscored": "left unscored and counted",
    "raw": "scored as the public client does: on the whole answer, tags and all, or on the empty text where nothing "
    "is between the tags",
    "penalty": "given mse_nrm 2.0 as in training, and so are clean answers whose token budget ran out after the "
    "closing tag; where nothing is between the tags, the empty text is scored",
}
CLEAN_RULE = (
    "An answer is clean when its first opening tag and the closing tag after it were found within the token budget, "
    "with something between them."
)
RULES_OF_OTHERS = {
    "computed": "This run was judged by an earlier rule: it calls an answer clean when the closing tag came within the "
    "token budget, whether or not there was an opening tag and whether or not anything came before it.",
    "imported": "Which answers are clean is what the imported bundle says.",
    "published": "Which answers are clean is what the published figures say; their rule is not known.",
}
"""Where a run does not name the rule its answers were judged by."""
STREAMS: dict[Stream, str] = {
    "float32": "float32 where vectors are injected at norm 1,000 or more or at their own norm, otherwise the type of "
    "the weights",
    "model": "the type of the weights, at every norm",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One term of the strip and what the run says of it."""

    term: str
    text: str


def read_protocol(head: RunHead) -> list[Fact]:
    """What is known of the protocol; empty for a bundle that brought none."""
    if head.kind == "computed" and head.experiment_yaml is not None:
        return _of_experiment(parse_experiment(head.experiment_yaml, Path(f"{head.run_id}.yaml")))
    return _of_published(json.loads(head.environment))


def answer_rule(head: RunHead) -> str:
    """What clean means in this run, as a sentence."""
    is_known = json.loads(head.environment).get("answer_rule") == ANSWER_RULE
    return CLEAN_RULE if is_known else RULES_OF_OTHERS[head.kind]


def is_greedy(head: RunHead) -> bool:
    """Whether explanations were written greedily; a run that does not say counts as such."""
    if head.kind != "computed" or head.experiment_yaml is None:
        return True
    return parse_experiment(head.experiment_yaml, Path(f"{head.run_id}.yaml")).decoding.is_greedy


def unclean_choice(head: RunHead) -> str | None:
    """How answers that are not clean were treated; None when the run does not say."""
    if head.kind != "computed" or head.experiment_yaml is None:
        return None
    experiment = parse_experiment(head.experiment_yaml, Path(f"{head.run_id}.yaml"))
    return UNCLEAN_CHOICES[experiment.scoring.unclean]


def _of_experiment(experiment: Experiment) -> list[Fact]:
    sampling, scoring, decoding = experiment.sampling, experiment.scoring, experiment.decoding
    labels = {pair.pair_id: pair.label for pair in experiment.entries}
    given = isinstance(experiment.corpus, VectorsCorpus)
    return [
        Fact("Corpus", _corpus(experiment)),
        *_positions(experiment, labels[sampling.reference_pair]),
        Fact("Seed", str(sampling.seed)),
        *([] if given else [Fact("Truncation", f"{count(sampling.truncation_tokens)} tokens")]),
        Fact("Decode", f"{decode_words(decoding)}, at most {count(decoding.max_new_tokens)} new tokens"),
        Fact("Residual stream", STREAMS[decoding.stream]),
        Fact("Metric", "fve_nrm, raw-mean denominator"),
        Fact(
            "Intervals",
            f"95% percentile bootstrap over documents, {count(scoring.bootstrap_draws)} draws, V {scoring.variance}",
        ),
        Fact(
            "Nulls",
            f"{count(scoring.permutations)} shuffling{'' if scoring.permutations == 1 else 's'} among documents",
        ),
        Fact("Unclean answers", UNCLEAN_CHOICES[scoring.unclean]),
    ]


def decode_words(decoding: Decoding) -> str:
    """How explanations are written, and how many of every item where that is more than one."""
    if decoding.is_greedy:
        return "greedy"
    nucleus = f", top-p {decoding.top_p:g}" if decoding.top_p < 1.0 else ""
    times = f", {count(decoding.draws)} explanations of every item" if decoding.draws > 1 else ""
    return f"drawn at temperature {decoding.temperature:g}{nucleus}{times}"


def _positions(experiment: Experiment, reference: str) -> list[Fact]:
    """Which positions were measured; nothing where vectors were given."""
    corpus, sampling = experiment.corpus, experiment.sampling
    if isinstance(corpus, VectorsCorpus):
        return []
    match sampling.positions:
        case "sampled":
            chosen = f"{_times(sampling.positions_per_document)} per document"
        case "last":
            chosen = "the last token of each document"
        case "generation_prompt":
            chosen = "the last token of each generation prompt, after which the model would answer"
        case Every():
            chosen = (
                f"every {count(sampling.positions.every)}th token" if sampling.positions.every > 1 else "every token"
            )
        case Listed():
            chosen = f"those that the corpus lists, counted in {sampling.positions.listed}"
    if sampling.least_left_context:
        chosen += f", each with at least {count(sampling.least_left_context)} tokens of left context"
    if experiment.reads_chats and sampling.positions != "generation_prompt":
        chosen += f", in messages of {' and '.join(sampling.roles)}"
    how = "drawn" if sampling.positions == "sampled" else "found"
    return [Fact("Positions", f"{chosen}, {how} in the tokenization of {reference}")]


def _corpus(experiment: Experiment) -> str:
    corpus = experiment.corpus
    if isinstance(corpus, VectorsCorpus):
        return f"{corpus.name}: vectors that were given, not read from text by a base model"
    what = "chats" if experiment.reads_chats else "documents"
    if isinstance(corpus, HuggingFaceCorpus):
        config = f"{corpus.config}, " if corpus.config else ""
        return f"{corpus.name}, {config}split {corpus.split}, {what} {corpus.first_index}–{corpus.last_index}"
    name = corpus.name if isinstance(corpus, LocalCorpus) else "pocket: news articles no pocket pair was trained on"
    last = "the last" if corpus.last_index is None else str(corpus.last_index)
    return f"{name}, {what} {corpus.first_index} to {last}"


def _of_published(environment: dict[str, Any]) -> list[Fact]:
    """What a published-figures file states; a term it does not name is left out."""
    substrate = environment.get("substrate") or {}
    decode = environment.get("decode") or {}
    metric = environment.get("metric") or {}
    found = [
        (
            "Corpus",
            _joined({**substrate, "documents": _range(substrate)}, corpus="{}", config="{}", documents="documents {}"),
        ),
        (
            "Positions",
            _joined(
                substrate,
                positions_per_doc="{} per document",
                min_left_context="at least {} tokens of left context",
                reference_tokenizer="drawn in the tokenization of {}",
            ),
        ),
        ("Seed", _joined(substrate, seed="{}")),
        ("Truncation", _joined(substrate, truncation_tokens="{} tokens")),
        ("Decode", _joined(decode, mode="{}", max_new_tokens="at most {} new tokens")),
        ("Metric", _joined(metric, name="{}", denominator="{} denominator")),
        ("Intervals", _joined(metric, ci="{}")),
        ("Scores as they came", _given_definitions(environment.get("scores"))),
    ]
    return [Fact(term, text) for term, text in found if text]


def _given_definitions(scores: Any) -> str:
    """What the columns of scores held where they come from, as the map named it."""
    given = scores.get("definitions") if isinstance(scores, dict) else None
    said = [
        f"{_named(entry['column'], entry['definition'])}: {DEFINITIONS[entry['definition']].said}"
        for entry in (given if isinstance(given, list) else [])
        if isinstance(entry, dict) and entry.get("definition") in DEFINITIONS and isinstance(entry.get("column"), str)
    ]
    return "; ".join(said)


def _named(column: str, definition: str) -> str:
    return column if column == definition else f"{column} is {definition}"


def _joined(values: dict[str, Any], **phrases: str) -> str:
    """The phrases whose value is there, separated by commas."""
    return ", ".join(phrase.format(values[key]) for key, phrase in phrases.items() if values.get(key) is not None)


def _range(substrate: dict[str, Any]) -> str | None:
    ends = (substrate.get("first_doc"), substrate.get("last_doc"))
    return None if None in ends else f"{ends[0]}–{ends[1]}"


def _times(number: int) -> str:
    return "one" if number == 1 else count(number)
