"""Chats in every architecture's own template: the same characters of the same messages, whatever is written around."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny_checkpoints import ARCHITECTURES, tiny_tokenizer

from nlareport.backends.scripted import ScriptedTokenizer
from nlareport.batches import ChatMessage, Tokenization
from nlareport.checkpoints.conversations import answer_span, content_spans, conversation_text, tokenize_rendered
from nlareport.errors import ChatTemplateFails
from nlareport.stages.sample import align

CHAT = [
    ChatMessage("system", "Be brief."),
    ChatMessage("user", " The river rose — by 14 metres?\n\n"),
    ChatMessage("assistant", "user: no, the old bridge"),
]
tokenizer_of = cache(tiny_tokenizer)


def covered(text: str, cut: Tokenization) -> str:
    """What the tokens cover, each character once."""
    said, reached = "", 0
    for start, end in zip(cut.char_starts, cut.char_ends, strict=True):
        said += text[max(start, reached) : end]
        reached = max(reached, end)
    return said


def test_a_chat_is_shown_as_its_turns_and_ends_where_an_answer_would_begin() -> None:
    assert conversation_text(CHAT[:1]) == "system: Be brief.\n\nassistant:"
    text = conversation_text(CHAT)
    assert [text[start:end] for start, end in content_spans(CHAT)] == [message.content for message in CHAT]
    start, end = answer_span(CHAT)
    assert text[start:end] == "assistant:"
    assert text[:end] == conversation_text(CHAT[:2])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_tokens_characters_are_those_of_the_message_and_the_template_has_none(architecture) -> None:
    tokenizer, text = tokenizer_of(architecture), conversation_text(CHAT)
    cut = tokenize_rendered(tokenizer, CHAT, is_asked=False)
    assert covered(text, cut) == "".join(message.content for message in CHAT)
    special = [
        start == end
        for token_id, start, end in zip(cut.token_ids, cut.char_starts, cut.char_ends, strict=True)
        if token_id in tokenizer.all_special_ids
    ]
    assert special
    assert all(special)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_template_has_the_same_character_and_the_same_place_of_the_answer(architecture) -> None:
    tokenizer, text = tokenizer_of(architecture), conversation_text(CHAT)
    end = text.index("14 metres") + len("14 metres")
    index, error = align(tokenize_rendered(tokenizer, CHAT, is_asked=False), end)
    assert tokenizer.decode(tokenize_rendered(tokenizer, CHAT, is_asked=False).token_ids[: index + 1]).endswith(
        "14 metres"
    )
    assert error == 0
    asked = tokenize_rendered(tokenizer, CHAT, is_asked=True)
    assert align(asked, answer_span(CHAT)[1]) == (len(asked.token_ids) - 1, 0)
    rendered = tokenizer.apply_chat_template(
        [{"role": turn.role, "content": turn.content} for turn in CHAT[:2]], tokenize=False, add_generation_prompt=True
    )
    assert asked.token_ids == tokenizer.encode(rendered, add_special_tokens=False)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab :\n<é", max_size=12)), min_size=1, max_size=4
    ),
    st.sampled_from(["qwen2", "gemma3"]),
)
def test_any_contents_are_found_where_they_were_written(turns, architecture) -> None:
    messages = [ChatMessage(role, content) for role, content in turns]
    cut = tokenize_rendered(tokenizer_of(architecture), messages, is_asked=False)
    assert covered(conversation_text(messages), cut) == "".join(content for _, content in turns)
    by_script = ScriptedTokenizer("small").tokenize_chat(messages, is_asked=False)
    assert covered(conversation_text(messages), by_script) == "".join(content for _, content in turns)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('System role not supported') }}", "cannot be rendered .'System role not supported'"),
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", "does not write message 1 as it is"),
        ("{% for m in messages %}{{ m.role }}: {% endfor %}", "does not write message 1 as it is"),
        ("{{ messages[1].content }}{{ messages[0].content }}{{ messages[2].content }}", "does not write message 1"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}{{ messages | length if 'no' in messages[-1].content }}",
         "writes something else after the last message"),
        ("{% for m in messages %}{{ m.content }} {% endfor", "cannot be rendered"),
    ],
)  # fmt: skip
def test_a_template_that_changes_a_chat_is_refused(template, said) -> None:
    tokenizer = tiny_tokenizer("qwen2")
    tokenizer.chat_template = template
    with pytest.raises(ChatTemplateFails, match=said) as refusal:
        tokenize_rendered(tokenizer, CHAT, is_asked=False)
    assert not str(refusal.value).endswith(" ")


def test_a_chat_of_answers_alone_has_nothing_to_answer() -> None:
    with pytest.raises(ChatTemplateFails, match="no message before the answer"):
        tokenize_rendered(tokenizer_of("qwen2"), [ChatMessage("assistant", "Yes.")], is_asked=True)
