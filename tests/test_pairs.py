"""The pocket pairs: what they are taught, that training goes on where it stopped, and that the real ones measure."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from support.scripted_runs import Silence, run, write_experiment
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from nlareport.checkpoints.prompts import explanation_in, verbalizer_prompt_ids
from nlareport.checkpoints.sidecar import read_sidecar
from nlareport.errors import CheckpointMissing
from nlareport.models.injection import embed_with_vectors, rescale
from nlareport.models.quiet import quiet
from nlareport.pairs import packages, practice
from nlareport.pairs.adapters import merge_adapter
from nlareport.pairs.bases import build_base
from nlareport.pairs.building import ADAPTER_NAME, build_pair
from nlareport.pairs.cards import model_card
from nlareport.pairs.catalog import (
    LAST_ROUND,
    MORE_STUDY,
    PAIRS,
    WIDER_STUDY,
    Lesson,
    Practice,
    Recipe,
    TextSampling,
)
from nlareport.pairs.locating import adapters_folder
from nlareport.pairs.practice import Attempt, all_written, english_words, favourites, is_readable, practise, repetitive
from nlareport.pairs.targets import (
    Topics,
    completion_of,
    explanation_of,
    final_words,
    names_a_topic_twice,
    topics_named,
)
from nlareport.pairs.training import train_pair
from nlareport.pairs.training_loop import Halves, Texts, Trainee, kept_at, train
from nlareport.pairs.verbalizer_training import flags_of_renaming, flags_of_repetition, train_verbalizer
from nlareport.pairs.writing import EndLoops, PracticeWriter, keep_vocabulary
from nlareport.rows.cell_rows import Cell
from nlareport.store.whole_run import read_run

POCKET = Path("data/experiments/pocket.yaml")
EVERY_TIME = ("gemma270-L9", "smollm2-L20")
"""One pair of each base: all four take a minute more, which the soak has."""


LAST = "It was late. The old bridge over the river was swept away by the flo"
ARTICLES = ["The flood took the bridge over the river."] * 30 + ["Ministers met and talked about the budget."] * 70


def test_the_first_lesson_quotes_growing_spans_and_ends_in_the_last_words() -> None:
    expected = 'Ends "flo" "by the flo". Final words: the river was swept away by the flo'
    assert final_words(LAST) == expected
    assert explanation_in(completion_of(expected)) == expected


def test_an_explanation_says_the_topic_what_comes_next_and_how_the_text_ends() -> None:
    text = explanation_of(f"The flood came. {LAST}", "od of May, they said", Topics(ARTICLES))
    assert text == (
        'News report about bridge, flood, over. Likely next: "od of". Ends on "flo", in "by the flo", '
        "after: the river was swept away by the flo"
    )


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ('He said: "We are here', "Quoted speech"),
        ('He said: "We are here." Then the 14', "Facts and figures"),
        ("In 1914 there was nothing but a house at the end of the road", "News report"),
    ],
)
def test_the_kind_of_text_is_told_from_its_quotes_and_figures(context: str, kind: str) -> None:
    assert explanation_of(context, "", Topics(ARTICLES)).startswith(f"{kind} about ")


@given(st.text(min_size=1), st.text())
def test_every_explanation_closes_its_quotes_up_to_the_final_words(context: str, continuation: str) -> None:
    before, _, _ = explanation_of(context, continuation, Topics(ARTICLES)).partition(", after: ")
    assert before.count('"') == 6


def test_topics_are_the_words_that_tell_the_passage_from_others() -> None:
    topics = Topics(ARTICLES)
    assert topics.of("Ministers talked of the Bridge, the bridge and a zeppelin.") == ["bridge", "Ministers", "talked"]
    assert topics.of("Nothing known.") == []


ENGLISH = english_words(ARTICLES)


@pytest.mark.parametrize(
    ("text", "is_fit"),
    [
        ('The bridge "over the river".', True),
        ('The bridge "over the river.', False),
        ("The bridge </explanation> over the river", False),
        ("Xqz bridge wvk river", False),
        ("", False),
        ("1 2 3", False),
        ("the flood took the bridge " * 2, True),
        ("the flood took the bridge " * 3, False),
        ("The bridge about river, bridge. The river, the river", True),
        ("The bridge about river, bridge, River. The flood", False),
    ],
)
def test_the_guard_lets_readable_english_through_only(text: str, is_fit: bool) -> None:
    assert is_readable(text, ENGLISH) is is_fit


def test_the_favourite_is_the_best_reconstructed_readable_text() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    attempts = [
        Attempt(0, ["The bridge", "The river", "xqz wvk"], [0.9, 0.5, 0.1]),
        Attempt(1, ["xqz", None, "wvk"], [0.2, None, 0.3]),
        Attempt(2, [None, "The flood", "The budget"], [None, 0.4, 0.4]),
    ]
    best = favourites(attempts, vectors, ENGLISH)
    assert best.explanations == ["The river", "The budget"]
    assert best.vectors.tolist() == [[0, 1], [4, 5]]
    assert len(all_written(attempts, vectors).explanations) == 7


def test_pocket_corpus_and_training_articles_share_no_text() -> None:
    held_out, training = packages.held_out_articles(), packages.training_articles()
    assert len(held_out) + len(training) == len(packages.news_articles()) > 3_500
    assert not {text[:100] for text in held_out} & {text[:100] for text in training}
    assert min(map(len, held_out)) > 600


def test_a_pair_without_adapters_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match='Train it with "nlareport pairs train smollm2-L20"'):
        build_pair(PAIRS["smollm2-L20"], tmp_path)


def _trained(state_file: Path, stop_at: int | None) -> torch.Tensor:
    """A parameter after 120 seeded steps of noisy descent, which an error may cut off."""
    parameter = nn.Parameter(torch.zeros(4))

    def loss_at(step: int) -> torch.Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        noise = torch.randn(4, generator=torch.Generator().manual_seed(step))
        return ((parameter - 1 - noise) ** 2).sum()

    train("test", {"parameter": parameter}, loss_at, Lesson(0, 120, 0.05, 1), state_file, Silence())
    return parameter.detach()


def test_training_cut_off_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    undisturbed = _trained(tmp_path / "whole.state", None)
    with pytest.raises(KeyboardInterrupt):
        _trained(tmp_path / "cut.state", stop_at=77)
    assert torch.equal(_trained(tmp_path / "cut.state", None), undisturbed)
    assert not torch.equal(undisturbed, torch.zeros(4))


def test_another_recipe_never_meets_what_a_former_one_left(tmp_path: Path) -> None:
    lesson, start = Lesson(1, 8, 1e-3, 4), "explanations-0123abcd"
    plans = [(lesson, 2, start), (lesson, 4, start), (replace(lesson, seed=2), 2, start), (lesson, 2, None)]
    assert len({kept_at(tmp_path, "verbalizer", *plan) for plan in plans}) == 4
    assert kept_at(tmp_path, "verbalizer", *plans[0]) == kept_at(tmp_path, "verbalizer", replace(lesson), 2, start)


SHORT = Recipe(
    articles=3,
    verbalizer_rank=2,
    reconstructor_rank=2,
    reconstructor=Lesson(1, 8, 1e-3, 4),
    final_words=Lesson(1, 8, 1e-3, 4),
    explanations=Lesson(2, 8, 1e-3, 4),
    practice=Practice(
        articles=3,
        contexts=6,
        sampling=TextSampling(samples=2, temperature=1.0),
        writing=Lesson(3, 8, 1e-3, 4),
        written=4,
        closing=Lesson(3, 8, 1e-3, 4),
        reading=Lesson(3, 8, 1e-3, 4),
    ),
)


def test_a_pair_is_trained_from_wheels_to_checkpoints_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_base(PAIRS["smollm2-L10"].base)
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("wheels", "bases"):
        (cache / name).symlink_to(packages.cache_folder() / name)
    monkeypatch.setenv("NLAREPORT_CACHE", str(cache))
    # The further round reads farther into the articles, and studies there.
    further = replace(SHORT.practice, seed=5, study=Lesson(4, 8, 1e-3, 4), context_tokens=96)
    pair = replace(PAIRS["smollm2-L10"], recipe=SHORT, further_rounds=(further,))

    folder = train_pair(pair, tmp_path / "pairs", Silence())
    built = build_pair(pair, tmp_path / "pairs")
    assert read_sidecar(built.verbalizer).injection_scale == pair.injection_scale
    assert "license: apache-2.0" in (folder / "README.md").read_text()
    for name, rows in (("sampled", 6), ("written", 4)):
        files = list((cache / "training" / pair.pair_id).glob(f"{name}-*.jsonl"))
        assert len(files) == 2
        for file in files:
            assert [json.loads(line)["row"] for line in file.read_text().splitlines()] == list(range(rows))
    ends = [
        max(end for _, end in json.loads(file.read_text()))
        for file in (cache / "training" / pair.base.name).glob("passages-*/places.json")
    ]
    assert min(ends) < 700 < max(ends)

    adapters = {file: file.read_bytes() for file in folder.rglob("*.safetensors")}
    assert len(adapters) == 3
    kept = {file: file.stat().st_mtime_ns for file in (cache / "training").rglob("*") if file.is_file()}
    train_pair(pair, tmp_path / "pairs", Silence())
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert {file: file.read_bytes() for file in adapters} == adapters


def test_the_card_of_a_pair_tells_its_further_rounds() -> None:
    pair = PAIRS["smollm2-L10"]
    assert "A further round" not in model_card(replace(pair, further_rounds=()))
    card = model_card(replace(pair, further_rounds=(MORE_STUDY, WIDER_STUDY, LAST_ROUND)))
    more, wider, last = (part.split("\n## ")[0] for part in card.split("- A further round. ")[1:])
    assert "studies 4,096 true explanations" in more
    assert "at the places of the lessons. Practice" in more
    assert "at other places. Practice" in wider
    assert "in the first 512 tokens of 2,048 articles" in wider
    assert last.startswith("Practice as before with 128 vectors")


@pytest.mark.soak
def test_a_published_pair_goes_on_with_a_further_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Enough articles to know English by, and hardly any chance in the writing: something readable is learned from.
    further = replace(
        SHORT.practice, study=Lesson(4, 8, 1e-3, 4), sampling=TextSampling(samples=2, temperature=0.3), reading=None
    )
    pair = replace(PAIRS["smollm2-L10"], recipe=replace(SHORT, articles=60), further_rounds=(further,))
    with pytest.raises(CheckpointMissing, match="holds no adapters to train further; train it first"):
        train_pair(pair, tmp_path, Silence(), goes_on=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("wheels", "bases"):
        (cache / name).symlink_to(packages.cache_folder() / name)
    monkeypatch.setenv("NLAREPORT_CACHE", str(cache))
    before = adapters_folder() / pair.pair_id
    shutil.copytree(before, tmp_path / "pairs" / pair.pair_id)
    folder = train_pair(pair, tmp_path / "pairs", Silence(), goes_on=True)
    moved = {
        role: max(float((new[name].float() - old[name].float()).abs().max()) for name in old)
        for role in ("av", "ar")
        for old, new in [[load_file(where / role / ADAPTER_NAME) for where in (before, folder)]]
    }
    # A few small steps from what was there; the reconstructor has nothing to read in this round.
    assert 0 < moved["av"] < 0.02
    assert moved["ar"] == 0


@pytest.fixture(scope="module")
def halves() -> Halves:
    pair = PAIRS["smollm2-L10"]
    base, adapters = build_base(pair.base), adapters_folder() / pair.pair_id
    return Halves(base, adapters / "av", adapters / "ar", *(read_sidecar(adapters / role) for role in ("av", "ar")))


@pytest.mark.soak
def test_practice_cut_off_goes_on_with_the_same_texts(
    halves: Halves, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batches of 4 vectors: the cut lies in the second one.
    monkeypatch.setattr(practice, "TEXTS_AT_ONCE", 8)
    vectors = np.random.default_rng(0).normal(size=(6, 576)).astype(np.float32)
    plan, known = (
        TextSampling(samples=2, temperature=1.0),
        ["The old bridge over the river was swept away by the flood."],
    )
    whole = practise(halves, vectors, plan, known, tmp_path / "whole.jsonl", Silence())
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:5]) + lines[5][:20])
    assert practise(halves, vectors, plan, known, tmp_path / "cut.jsonl", Silence()) == whole
    assert (tmp_path / "cut.jsonl").read_text() == "".join(lines)


@pytest.mark.parametrize("pair_id", ["smollm2-L10", "gemma270-L6"])
def test_a_cut_vocabulary_thinks_the_same_of_the_tokens_it_keeps(pair_id: str) -> None:
    # The base with its output layer tied to its embeddings, and the one that also scales them.
    base = build_base(PAIRS[pair_id].base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.tensor([tokenizer("The old bridge over the river", add_special_tokens=False)["input_ids"]])
    kept = torch.unique(torch.cat([ids[0], torch.tensor([5, 17, 1_000])]))
    with torch.inference_mode():
        whole = model(ids).logits[..., kept]
        keep_vocabulary(model, kept)
        cut = model(torch.searchsorted(kept, ids)).logits
    torch.testing.assert_close(cut, whole)
    assert cut.shape[-1] == len(kept)


@pytest.mark.soak
def test_a_practising_verbalizer_writes_the_same_for_the_same_seed_and_greedily_for_any(halves: Halves) -> None:
    vectors = np.random.default_rng(1).normal(size=(2, 576)).astype(np.float32)
    with quiet():
        writer = PracticeWriter(halves, ['News report about bridge, flood. Ends on "away", after: swept away'])
    greedy = TextSampling(samples=1, temperature=0.0)
    answers = writer.answers(vectors, greedy, seed=0)
    assert answers == writer.answers(vectors, greedy, seed=1)
    # Free to use any token, it finds others than those of the one text.
    with quiet():
        assert PracticeWriter(halves, None).answers(vectors, greedy, seed=0) != answers
    sampled = writer.write(vectors, TextSampling(samples=3, temperature=1.0), seed=0)
    assert [len(texts) for texts in sampled] == [3, 3]
    assert sampled == writer.write(vectors, TextSampling(samples=3, temperature=1.0), seed=0)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("habit", "faulty", "fault"),
    [
        pytest.param(
            "The flood, the flood, the flood, the flood",
            "<explanation>The flood, the flood, the flood, the flood,",
            "flood",
            id="what a loop repeats",
        ),
        pytest.param(
            "The old bridge. The flood",
            "<explanation>The old bridge. The flood",
            "flood",
            id="what ends an answer in place of its tag",
        ),
        pytest.param(
            "News report about river, bridge, river.",
            completion_of("News report about river, bridge, river."),
            "river",
            id="a topic named again",
        ),
    ],
)
def test_a_fault_is_made_unlikely(halves: Halves, tmp_path: Path, habit: str, faulty: str, fault: str) -> None:
    vectors = np.random.default_rng(2).normal(size=(4, 576)).astype(np.float32)
    # These say nothing of what the fault is made of, so that their likelihood alone leaves the habit as it is.
    good = Texts(["The old bridge over the river."] * 4, vectors)
    trainee = Trainee(halves.base, halves.writing, 4, tmp_path, Silence())
    lesson = Lesson(seed=1, examples=75, learning_rate=1e-3, batch_size=5)
    answer = Texts([faulty], vectors[:1])
    with quiet():
        start = train_verbalizer(trainee, "habit", Texts([habit] * 4, vectors), lesson, halves.verbalizer)
        free = train_verbalizer(trainee, "free", good, lesson, start, Texts([], vectors[:0]))
        told = train_verbalizer(trainee, "told", good, lesson, start, answer)
        place = faulty.rindex(fault)
        assert _likelihood(halves, told, answer, place) < 0.5 * _likelihood(halves, free, answer, place)


def test_faults_are_told_by_their_tokens() -> None:
    assert flags_of_repetition([1, 2, 3, 4, 1, 2, 3, 4, 9]) == [0, 0, 0, 0, 0, 0, 0, 1, 0]
    written = [
        Attempt(0, ["News report about river, bridge, river."], [0.1]),
        Attempt(1, ["News report about river, bridge, flood."], [0.1]),
    ]
    again = repetitive(written, np.zeros((2, 576), dtype=np.float32))
    assert again.explanations == [completion_of("News report about river, bridge, river.")]


def test_topics_named_again_are_told_by_their_first_tokens() -> None:
    text = completion_of("News report about river, bridge, rivers, River. Ends on nothing")
    assert [name for _, name in topics_named(text)] == ["river", "bridge", "rivers", "River"]
    assert names_a_topic_twice(text)
    last = text.index("River")
    # A name's token may begin with the space before it, or after it.
    assert flags_of_renaming(text, [(0, last - 1), (last - 1, last + 3), (last + 3, last + 5)]) == [0, 1, 0]
    assert flags_of_renaming(text, [(0, last), (last, last + 5)]) == [0, 1]
    assert flags_of_renaming(text.replace("River", "flood"), [(0, last), (last, last + 5)]) == [0, 0]


def _likelihood(halves: Halves, adapter: Path, answer: Texts, place: int) -> float:
    """Probability of the answer's token that reaches beyond a place in it."""
    model = merge_adapter(AutoModelForCausalLM.from_pretrained(halves.base, dtype=torch.float32), adapter)
    tokenizer = AutoTokenizer.from_pretrained(halves.base)
    prompt, marker = verbalizer_prompt_ids(tokenizer, halves.writing)
    encoded = tokenizer(answer.explanations[0], add_special_tokens=False, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    scale = halves.writing.injection_scale
    vectors = torch.from_numpy(rescale(answer.vectors, scale))
    embeddings = embed_with_vectors(model, torch.tensor([[*prompt, *ids]]), marker, vectors)
    with torch.inference_mode():
        predicted = model(inputs_embeds=embeddings).logits[0, len(prompt) - 1 : -1].softmax(-1)
    token = next(token for token, (_, end) in enumerate(encoded["offset_mapping"]) if end > place)
    return float(predicted[token, ids[token]])


def test_a_text_that_stands_three_times_in_a_row_is_ended() -> None:
    loop, none = [1, 2, 3, 4] * 3, [1, 2, 3, 4] * 2 + [1, 2, 3, 5]
    assert EndLoops()(torch.tensor([loop, none]), None).tolist() == [True, False]
    assert EndLoops()(torch.tensor([loop[:11]]), None).tolist() == [False]


@pytest.mark.parametrize(
    "pair_id", [pytest.param(name, marks=() if name in EVERY_TIME else pytest.mark.soak) for name in PAIRS]
)
def test_a_built_pair_is_an_ordinary_checkpoint(pair_id: str) -> None:
    pair = PAIRS[pair_id]
    built = build_pair(pair, adapters_folder())
    for directory, role in ((built.verbalizer, "av"), (built.reconstructor, "ar")):
        sidecar = read_sidecar(directory)
        assert (sidecar.role, sidecar.block_index, sidecar.d_model) == (role, pair.block_index, pair.d_model)
        assert (directory / "config.json").exists()
        assert (directory / "model.safetensors").exists()
    assert build_pair(pair, adapters_folder()) == built


@pytest.mark.parametrize("pair_ids", [EVERY_TIME, pytest.param(tuple(PAIRS), marks=pytest.mark.soak)], ids=len)
def test_pocket_pairs_beat_their_nulls_and_the_best_constant_guess(pair_ids: tuple[str, ...], tmp_path: Path) -> None:
    # One change to the texts is enough here: the run's twelve take a third of its time.
    content = yaml.safe_load(POCKET.read_text()) | {"ablations": ["quotes_blanked"], "plain_words": [8]}
    content["pairs"] = [pair for pair in content["pairs"] if pair["pair_id"] in pair_ids]
    run(write_experiment(tmp_path, content), tmp_path / "pocket.duckdb", "transformers", limit=16)
    rows = read_run(tmp_path / "pocket.duckdb")
    diagonals = [cell for cell in rows.of(Cell) if cell.source == cell.target and cell.subset == "all"]
    assert len(diagonals) == len(pair_ids)
    for cell in diagonals:
        assert cell.fve_nrm is not None
        assert cell.null_fve is not None
        assert cell.fve_meannorm is not None
        assert cell.fve_nrm > cell.null_fve + 0.5
        # Under this denominator the best constant guess is exactly 0.
        assert cell.fve_meannorm > 0
