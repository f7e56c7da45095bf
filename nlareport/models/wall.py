"""Translates exceptions of foreign libraries into nlareport's own errors.

Transformers, tokenizers, safetensors and Jinja may raise anything over a damaged file, a `KeyError` as likely as a
panic of Rust, so the kinds cannot be listed.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from nlareport.errors import NlareportError
from nlareport.shown import first_line

MOST_QUOTED = 240
"""Characters of a foreign error that a message quotes."""


@contextmanager
def foreign_errors(refusal: type[NlareportError], what: str, advice: str) -> Iterator[None]:
    """Inside, a foreign error becomes `refusal`: `what` was tried, its first line, and the `advice`.

    Raises:
        NlareportError: as `refusal`.
    """
    try:
        yield
    except NlareportError:
        raise
    except BaseException as error:
        if is_an_end(error):
            raise
        raise refusal(f"{what} ({named_line(error)}). {advice}") from error


def is_an_end(error: BaseException) -> bool:
    """Whether the error ends the program or is one of ours: then it must pass untranslated."""
    # A panic of Rust derives from BaseException as well, and only means that a file is broken.
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | NlareportError)


def named_line(error: BaseException) -> str:
    """The first line of a foreign error, with the error's name where the line is a single word; safe to print."""
    line = first_line(error)
    # `KeyError('added_tokens')` says nothing without its name.
    said = line if " " in line else f"{type(error).__name__}: {line}" if line else type(error).__name__
    return said[:MOST_QUOTED].rstrip(". ")
