"""Opens and checks a checkpoint's tokenizer: Transformers makes one that finds no token when files are missing.

Takes a checkpoint directory, returns a Hugging Face tokenizer that cuts text into tokens its model knows.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from nlareport.checkpoints.bos import bos_twice
from nlareport.checkpoints.prompts import PromptContract, reconstructor_prompt
from nlareport.errors import CheckpointDamaged, CheckpointDrift, CheckpointMissing
from nlareport.models.checkpoint_files import INDEX_NAME, PUT_BACK, json_object, small_text
from nlareport.models.configuration import load_text_config
from nlareport.models.quiet import quiet
from nlareport.models.wall import foreign_errors

_NAMES_OF_SPECIAL_TOKENS = ("tokenizer_config.json", "special_tokens_map.json")
_OTHER_FILES = ("added_tokens.json", "chat_template.json")

_TOKENIZER_ENDINGS = (".json", ".jinja", ".model", ".txt")
_NOT_OF_THE_TOKENIZER = ("config.json", "generation_config.json", INDEX_NAME)

_OPENED: dict[tuple[str, int], Any] = {}
"""Tokenizers by what their files say: a base, its AV and its AR have the same one, and a large one takes seconds."""
_MOST_OPENED = 4

_PROBE = "The river rose by 14 metres. Die Brücke hielt. Река поднялась. 河水上涨了。"
"""Words of several scripts: any tokenizer of a language model knows some of them."""


def open_tokenizer(directory: Path) -> Any:
    """The tokenizer of a checkpoint whose configuration is not read yet; errors as those of both."""
    return load_tokenizer(directory, load_text_config(directory).vocab_size)


def load_tokenizer(directory: Path, vocab_size: int) -> Any:
    """The checkpoint's own tokenizer; `vocab_size` is how many tokens its model has an embedding of.

    Raises:
        CheckpointMissing: there is none that Transformers can open.
        CheckpointDamaged: one of its files is damaged, or it finds no token in text.
        CheckpointDrift: it has tokens that the model does not know, or begins every text with two BOS.
    """
    _refuse_damaged_files(directory)
    key = _content_digest(directory), vocab_size
    if key not in _OPENED:
        while len(_OPENED) >= _MOST_OPENED:
            del _OPENED[next(iter(_OPENED))]
        _OPENED[key] = _sound_tokenizer(directory, vocab_size)
    return _OPENED[key]


def copy_tokenizer(directory: Path, destination: Path) -> None:
    """Saves the tokenizer of a checkpoint into another checkpoint's directory."""
    # Opened for this alone and without arguments: a tokenizer saves those too, and one in use how it last cut.
    AutoTokenizer.from_pretrained(directory).save_pretrained(destination)


def reconstructor_prompt_ids(tokenizer: Any, sidecar: PromptContract, explanation: str) -> list[int]:
    """The token ids that a reconstructor reads of an explanation, at least one."""
    prompt = reconstructor_prompt(sidecar, explanation)
    # With special tokens: without its BOS Gemma reads almost nothing.
    token_ids = list(tokenizer.encode(prompt, add_special_tokens=True, verbose=False))
    if token_ids:
        return token_ids
    # A template of nothing but the explanation, an empty explanation and no BOS give no token to read.
    return [next(id_ for id_ in (tokenizer.bos_token_id, tokenizer.eos_token_id, 0) if id_ is not None)]


def special_ids(directory: Path, tokenizer: Any) -> frozenset[int]:
    """The tokens that are no text: BOS, EOS, unknown, padding, and those that the tokenizer's files name.

    A token that only Transformers names, as its version 5 gives Gemma a ``<mask>``, is not among them: the public
    release sampled its positions without it.
    """
    named = {token for name in _NAMES_OF_SPECIAL_TOKENS for token in _tokens_named(json_object(directory / name) or {})}
    always = {tokenizer.bos_token, tokenizer.eos_token, tokenizer.unk_token, tokenizer.pad_token}
    found = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    return frozenset(token_id for token_id, token in found if token in named | always)


def control_ids(tokenizer: Any) -> frozenset[int]:
    """The further tokens that its vocabulary flags as no text, such as ``<start_of_turn>``, which a text may spell."""
    known = set(tokenizer.all_special_tokens)
    added = tokenizer.added_tokens_decoder.items()
    return frozenset(token_id for token_id, token in added if token.special and str(token) not in known)


def _tokens_named(content: dict[str, Any]) -> Iterator[str]:
    """The texts of the special tokens that one of a tokenizer's files names, in any released spelling."""
    for key, value in content.items():
        if key in ("additional_special_tokens", "extra_special_tokens"):
            values = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        else:
            values = [value] if key.endswith("_token") else []
        for token in values:
            text = token.get("content") if isinstance(token, dict) else token
            if isinstance(text, str):
                yield text


def chat_template_file(directory: Path) -> Path:
    """The file that holds a checkpoint's chat template."""
    names = ("chat_template.jinja", "chat_template.json")
    return next(
        (directory / name for name in names if (directory / name).exists()), directory / "tokenizer_config.json"
    )


def _refuse_damaged_files(directory: Path) -> None:
    named = [json_object(directory / name) for name in _NAMES_OF_SPECIAL_TOKENS]
    if not any(content is not None for content in named):
        raise CheckpointMissing(
            f"{directory}: has neither {' nor '.join(_NAMES_OF_SPECIAL_TOKENS)}, so its special tokens are unknown. "
            f"{PUT_BACK}"
        )
    for name in _OTHER_FILES:
        json_object(directory / name)
    regular = directory / "tokenizer.json"
    if regular.exists() and not regular.is_file():
        raise CheckpointDamaged(f"{regular}: is no file. {PUT_BACK}")
    for path in (directory / "chat_template.jinja", *sorted(directory.glob("additional_chat_templates/*.jinja"))):
        small_text(path)


def _sound_tokenizer(directory: Path, vocab_size: int) -> Any:
    advice = "Put its tokenizer.json and tokenizer_config.json back as they were released."
    try:
        with quiet(), foreign_errors(CheckpointMissing, f"{directory}: has no usable tokenizer", advice):
            tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except CheckpointMissing:
        # Read here only now, to say what is wrong with it: large ones take a second.
        json_object(directory / "tokenizer.json")
        raise
    with foreign_errors(CheckpointDamaged, f"{directory}: its tokenizer cannot cut text", advice):
        n_known = int(tokenizer.vocab_size)
        token_ids = list(tokenizer.encode(_PROBE, add_special_tokens=True, verbose=False))
        says_nothing = {*tokenizer.all_special_ids, tokenizer.unk_token_id}
    if not set(token_ids) - says_nothing:
        raise CheckpointDamaged(f"{directory}: its tokenizer finds no token of text in a sentence. {advice}")
    # Tokens added on top may lie beyond: Gemma 3 names one for images that its text models have no embedding of.
    if n_known > vocab_size or max(token_ids) >= vocab_size:
        raise CheckpointDrift(
            f"{directory}: its tokenizer has {max(n_known, max(token_ids) + 1):,} tokens, its config.json only "
            f"{vocab_size:,}, so it is another model's. {advice}"
        )
    if bos_twice(token_ids, tokenizer):
        raise CheckpointDrift(
            f"{directory}: its tokenizer begins a text with BOS (id {tokenizer.bos_token_id}) twice. {advice}"
        )
    return tokenizer


def _content_digest(directory: Path) -> str:
    """Of all that decides how text is cut and a chat is written: what the halves of a pair have in common."""
    digest = hashlib.sha256()
    for path in sorted([*directory.iterdir(), *directory.glob("additional_chat_templates/*")]):
        if path.suffix in _TOKENIZER_ENDINGS and path.name not in _NOT_OF_THE_TOKENIZER and path.is_file():
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    model_type = (json_object(directory / "config.json") or {}).get("model_type")
    return f"{digest.hexdigest()} {model_type}"
