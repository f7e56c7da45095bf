"""Positions that a rule or the corpus chooses, in texts and in chats, with the left context that each asks for."""

import json
from pathlib import Path

import pytest
from test_sample import PatternTokenizer, document_of, sampling

from nlareport.backends.scripted import ScriptedTokenizer
from nlareport.batches import ChatMessage, Listing, SourceDocument
from nlareport.checkpoints.conversations import conversation_text
from nlareport.errors import CorpusUnreadable, ExperimentInvalid
from nlareport.experiment.corpus_section import LocalCorpus
from nlareport.experiment.experiment_file import parse_experiment
from nlareport.rows.run_rows import Document
from nlareport.run.skipped_documents import skipped_counts
from nlareport.stages.corpus import read_documents
from nlareport.stages.sample import roles_of, sample_document

WORDS = PatternTokenizer(r"\s*\S+")
CHAT = (
    ChatMessage("system", "be brief"),
    ChatMessage("user", "how deep is it"),
    ChatMessage("assistant", "very deep"),
)


def ends(text: str, **rules: object) -> tuple[list[str], Document]:
    """The last word read of each item, and the document's row."""
    row, items = sample_document(document_of(text), WORDS, sampling(**rules), 0)
    return [text[: item.char_end or 0].split()[-1] for item in items], row


def of_chat(listed: tuple[Listing, ...] = (), **rules: object) -> list[str]:
    """What a reader sees of a chat up to each item."""
    chat = SourceDocument("c:s:0", "c", 0, conversation_text(CHAT), CHAT, listed)
    _, items = sample_document(chat, ScriptedTokenizer("small"), sampling(**rules), 0)
    return [item.context or "" for item in items]


def test_the_last_token_of_a_short_prompt_is_an_item() -> None:
    assert ends("one two three", positions="last") == (["three"], ends("one two three", positions="last")[1])
    found, row = ends("one two three", positions="last", min_left_context=4)
    assert (found, row.skipped_reason) == ([], "too short: 4 tokens, an item needs 4 before it")


def test_the_last_token_of_a_long_document_is_never_that_of_its_cut_text() -> None:
    text = " ".join(f"w{n}" for n in range(60))
    found, row = ends(text, positions="last", truncation_tokens=51)
    assert found == []
    assert row.skipped_reason == "too long: an item is token 61, and 51 are read"
    assert "1 of 1 documents have their item beyond sampling.truncation_tokens" in skipped_counts([row])
    assert ends(text, positions="last")[0] == ["w59"]


def test_every_nth_token_is_counted_from_the_first_with_enough_left_context() -> None:
    text = " ".join(f"w{n}" for n in range(60))
    assert ends(text, positions={"every": 4})[0] == ["w49", "w53", "w57"]
    assert ends(text, positions={"every": 25}, min_left_context=3)[0] == ["w2", "w27", "w52"]


def test_sampling_may_ask_for_less_left_context_than_the_protocol() -> None:
    found, _ = ends("one two three", min_left_context=0, positions_per_document=9)
    assert sorted(found) == ["one", "three", "two"]


def test_listed_positions_are_characters_or_tokens_as_the_experiment_says() -> None:
    text = "one two three"
    document = SourceDocument("c:s:0", "c", 0, text, (), (7, 3, 6))
    _, by_characters = sample_document(document, WORDS, sampling(positions={"listed": "characters"}), 0)
    assert [item.token for item in by_characters] == [" two", "one"]
    document = SourceDocument("c:s:0", "c", 0, text, (), (3, 1))
    _, by_tokens = sample_document(document, WORDS, sampling(positions={"listed": "tokens"}), 0)
    assert [item.token for item in by_tokens] == [" three", "one"]


@pytest.mark.parametrize(
    ("unit", "entry"), [("characters", 0), ("characters", 14), ("characters", (0, 3)), ("tokens", 0), ("tokens", 4)]
)
def test_a_listed_position_that_is_not_there_is_refused_by_name(unit: str, entry: Listing) -> None:
    document = SourceDocument("c:s:0", "c", 0, "one two three", (), (entry,))
    with pytest.raises(CorpusUnreadable, match=rf"Document c:s:0: lists the position .* none of its {unit}. Correct"):
        sample_document(document, WORDS, sampling(positions={"listed": unit}), 0)


def test_items_of_a_chat_are_in_the_chosen_roles_and_never_in_the_template() -> None:
    every = {"positions": {"every": 1}, "min_left_context": 0}
    assert [context.split()[-1] for context in of_chat(**every)] == ["how", "deep", "is", "it", "very", "deep"]
    assert [context.split()[-1] for context in of_chat(roles=["system"], **every)] == ["be", "brief"]
    assert of_chat(positions="last", roles=["user"]) == ["system: be brief\n\nuser: how deep is it"]
    assert of_chat(positions="generation_prompt") == ["system: be brief\n\nuser: how deep is it\n\nassistant:"]
    assert of_chat(((1, 8),), positions={"listed": "characters"}) == ["system: be brief\n\nuser: how deep"]


def test_a_chat_without_a_message_of_the_roles_says_so() -> None:
    chat = SourceDocument("c:s:0", "c", 0, conversation_text(CHAT), CHAT)
    row, _ = sample_document(chat, ScriptedTokenizer("small"), sampling(positions="last", roles=["tool"]), 0)
    assert row.skipped_reason == "no token of text after the first 0 tokens in messages of tool"
    assert skipped_counts([row], 0).endswith("after the first 0 in messages of tool (sampling.roles)")


def test_an_item_of_a_chat_is_tagged_with_its_role() -> None:
    chat = SourceDocument("c:s:0", "c", 0, conversation_text(CHAT), CHAT)
    settings = sampling(positions={"every": 4}, min_left_context=0)
    _, items = sample_document(chat, ScriptedTokenizer("small"), settings, 5)
    assert [(tag.item_id, tag.name, tag.value) for tag in roles_of(chat, items)] == [
        (5, "role", "user"), (6, "role", "assistant")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cell", "listed"), [(7, (7,)), ([3, 9], (3, 9)), ("[3, 9]", (3, 9)), ([[0, 4]], ((0, 4),)), (None, ()), ("", ())]
)
def test_a_column_of_positions_holds_numbers_lists_or_either_as_json(cell, listed, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "one two three", "ends": cell}))
    corpus = LocalCorpus(kind="local", name="c", path=Path("c.jsonl"), positions_column="ends")
    (document,) = read_documents(corpus, tmp_path, list)
    assert document.listed == listed


@pytest.mark.parametrize("cell", [1.5, True, "three", [1, "2"], {"at": 3}, [[1, 2, 3]]])
def test_what_is_no_position_is_refused_with_its_place(cell, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "one two three", "ends": cell}))
    corpus = LocalCorpus(kind="local", name="c", path=Path("c.jsonl"), positions_column="ends")
    with pytest.raises(CorpusUnreadable, match=r"c.jsonl, line 1: column 'ends' holds .*Write a whole number"):
        list(read_documents(corpus, tmp_path, list))


@pytest.mark.parametrize("column", [{"messages_column": "turns"}, {"text_column": "messages"}])
def test_chats_are_lists_of_messages_or_such_lists_as_json(column, tmp_path: Path) -> None:
    name = next(iter(column.values()))
    chat = [{"role": "user", "content": "How deep?", "id": 4}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "How "}, {"type": "text", "text": "deep?"}]}]
    spellings = [chat, json.dumps(chat), parts, {"role": ["user"], "content": ["How deep?"]}]
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps({name: cell}) for cell in spellings))
    corpus = LocalCorpus(kind="local", name="c", path=Path("c.jsonl"), **column)
    first, *others = read_documents(corpus, tmp_path, list)
    assert first.messages == (ChatMessage("user", "How deep?"),)
    assert [other.messages for other in others] == [first.messages] * 3
    assert first.text == "user: How deep?\n\nassistant:"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ([], "holds an empty list"),
        ("How deep?", "holds text that is not JSON"),
        (7, "holds int, not a list of messages"),
        (["How deep?"], "message 1, is str"),
        (
            [{"from": "human", "value": "How deep?"}],
            "message 1, has role None, content None and the keys 'from', 'value'",
        ),
        ([{"role": "user", "content": [{"type": "image"}]}], "message 1, has role 'user', content"),
    ],
)
def test_what_is_no_chat_is_refused_with_its_place(cell, said, tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(json.dumps({"turns": cell}))
    corpus = LocalCorpus(kind="local", name="c", path=Path("c.jsonl"), messages_column="turns")
    with pytest.raises(CorpusUnreadable, match=rf"c.jsonl, line 1: column 'turns',? ?{said}.*Write a chat as a list"):
        list(read_documents(corpus, tmp_path, list))


PAIR = "{pair_id: a, label: A, family: f, base_model: a, block_index: 1, d_model: 8, verbalizer: a, reconstructor: a}"


@pytest.mark.parametrize(
    ("corpus", "rules", "said"),
    [
        ("", "positions: {listed: tokens}", "name the column that lists them as corpus.positions_column"),
        (", positions_column: ends", "", "corpus.positions_column: is read where sampling.positions is"),
        ("", "positions: last, positions_per_document: 2", "says how many are sampled; remove it"),
        ("", "positions: generation_prompt", "only chats have a generation_prompt"),
        ("", "roles: [user]", "only chats have roles"),
        ("", "positions: first", "should be 'sampled', 'last' or 'generation_prompt'; it says 'first'"),
        ("", "positions: {every: 0}", r"sampling\.positions\.every: Input should be greater than or equal to 1"),
        ("", "positions: {listed: words}", "should be 'characters' or 'tokens'"),
    ],
)
def test_sections_that_do_not_go_together_are_refused(corpus: str, rules: str, said: str) -> None:
    text = (
        f"experiment: e\ntitle: t\ncorpus: {{kind: local, name: c, path: c.txt{corpus}}}\n"
        f"sampling: {{seed: 1, n_items: 2, reference_pair: a, {rules}}}\npairs: [{PAIR}]\n"
    )
    with pytest.raises(ExperimentInvalid, match=said):
        parse_experiment(text, Path("e.yaml"))
