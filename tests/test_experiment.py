"""The experiment file: the two that come along are right, and every fault of another is listed at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.scripted_runs import Silence, scripted_content

from nlareport.errors import CheckpointMissing, ExperimentInvalid
from nlareport.experiment.experiment_file import Experiment, load_experiment, parse_experiment
from nlareport.pairs.locating import locate_pocket_pair
from nlareport.run.identity import differences
from nlareport.run.stage_list import OPTIONAL_KEYS

EXPERIMENTS = Path("data/experiments")


def parsed(content: dict[str, Any]) -> Experiment:
    return parse_experiment(yaml.safe_dump(content), Path("my.yaml"))


def test_the_published_experiment_names_the_published_protocol() -> None:
    experiment = load_experiment(EXPERIMENTS / "18-cross-family.yaml")
    published = yaml.safe_load(Path("data/published/18-cross-family.yaml").read_text(encoding="utf-8"))
    for pair, known in zip(experiment.pairs, published["pairs"], strict=True):
        assert {key: getattr(pair, key) for key in known} == known
    assert experiment.sampling.n_items == published["substrate"]["docs"]
    assert experiment.sampling.seed == published["substrate"]["seed"]
    assert experiment.sampling.truncation_tokens == published["substrate"]["truncation_tokens"]
    assert experiment.sampling.reference_pair == published["substrate"]["reference_tokenizer"]
    assert experiment.decoding.max_new_tokens == published["decode"]["max_new_tokens"]


def test_the_pocket_experiment_is_right() -> None:
    assert len(load_experiment(EXPERIMENTS / "pocket.yaml").pairs) == 4


def test_every_fault_is_listed_with_file_and_key() -> None:
    content = scripted_content(4)
    content["corpus"]["kind"] = "internet"
    content["scoring"]["bootstrap_draws"] = 1
    content["colour"] = "green"
    del content["pairs"][0]["label"]
    with pytest.raises(ExperimentInvalid) as caught:
        parsed(content)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert all(line.startswith("my.yaml: ") for line in lines)
    for key in ("corpus", "scoring.bootstrap_draws", "colour: is not a known key", "pairs.0.label: is missing"):
        assert any(key in line for line in lines)


def test_a_reference_pair_must_be_one_of_the_pairs() -> None:
    content = scripted_content(4)
    content["sampling"]["reference_pair"] = "medium"
    with pytest.raises(ExperimentInvalid, match=r"'medium' is none of the pairs \(small, large\)"):
        parsed(content)


def test_a_file_that_is_no_yaml_is_refused_in_a_line() -> None:
    with pytest.raises(ExperimentInvalid, match=r"^my\.yaml, line 1: is not YAML: [^\n]*$"):
        parse_experiment("a: [1", Path("my.yaml"))


def test_only_what_was_computed_binds_a_run_to_its_experiment() -> None:
    stored, asked = scripted_content(4), scripted_content(400)
    asked["scoring"]["permutations"] = 3
    asked["title"] = "Another title"
    asked["compute"]["batch_size"] = 7
    assert differences(parsed(stored), parsed(asked), OPTIONAL_KEYS) == []
    asked["decoding"]["max_new_tokens"] = 7
    asked["pairs"][1]["block_index"] = 3
    asked["compute"]["dtype"] = "bfloat16"
    expected = ["decoding.max_new_tokens", "dtype", "pairs.large.block_index"]
    assert differences(parsed(stored), parsed(asked), OPTIONAL_KEYS) == expected


def test_ablations_may_be_asked_for_later_and_given_up() -> None:
    plain, asked = scripted_content(4), scripted_content(4)
    asked["ablations"] = ["quotes_blanked", "last_16_tokens"]
    asked["ablation_items"] = 2
    assert (parsed(plain).ablations, parsed(plain).ablation_items) == ([], None)
    assert (parsed(asked).ablations, parsed(asked).ablation_items) == (["quotes_blanked", "last_16_tokens"], 2)
    assert differences(parsed(plain), parsed(asked), OPTIONAL_KEYS) == []
    assert differences(parsed(asked), parsed(plain), OPTIONAL_KEYS) == []


def test_plain_text_may_be_asked_for_later_and_given_up() -> None:
    without, asked = scripted_content(4), scripted_content(4)
    asked["plain_words"] = [32, 8]
    assert parsed(without).plain_words == []
    assert parsed(asked).plain_words == [32, 8]
    assert differences(parsed(without), parsed(asked), OPTIONAL_KEYS) == []
    assert differences(parsed(asked), parsed(without), OPTIONAL_KEYS) == []


@pytest.mark.parametrize(
    ("numbers", "complaint"),
    [
        ([8, 0], r"plain_words\.1: Input should be greater than 0; it says 0"),
        (["many"], r"plain_words\.0: .*valid integer.*'many'"),
        ([8, 16, 8], "plain_words: 8 is listed twice; name every number once"),
    ],
)
def test_a_number_of_words_that_is_none_or_is_listed_twice_is_a_fault(numbers: list[Any], complaint: str) -> None:
    with pytest.raises(ExperimentInvalid, match=complaint):
        parsed({**scripted_content(4), "plain_words": numbers})


@pytest.mark.parametrize(
    ("methods", "complaint"),
    [
        (
            ["words_shuffled", "vowels_dropped"],
            r"ablations\.1: is no ablation; choose from words_shuffled, quotes_kept, quotes_blanked, "
            r"digits_masked, first_N_tokens and last_N_tokens \(N from 1\); it says 'vowels_dropped'\.$",
        ),
        (["first_0_tokens"], r"ablations\.0: is no ablation.*it says 'first_0_tokens'"),
        (["words_shuffled", "words_shuffled"], "ablations: words_shuffled is listed twice; name every method once"),
    ],
)
def test_an_ablation_nobody_knows_or_named_twice_is_a_fault(methods: list[str], complaint: str) -> None:
    with pytest.raises(ExperimentInvalid, match=complaint):
        parsed({**scripted_content(4), "ablations": methods})


def test_a_pocket_name_with_another_ending_is_refused() -> None:
    spec = load_experiment(EXPERIMENTS / "pocket.yaml").pairs[0]
    wrong = spec.model_copy(update={"verbalizer": "pocket:smollm2-L10/actor"})
    with pytest.raises(CheckpointMissing, match="write pocket:smollm2-L10/ and base or av or ar"):
        locate_pocket_pair(wrong, Silence())
