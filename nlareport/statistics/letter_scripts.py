"""Tells the script of letters: Chinese, Japanese and Korean (CJK) as one, Latin, and every other script by its name.

Takes a text, returns shares. The script of a letter is the first word of its name in Unicode, once compatible forms,
such as full-width and mathematical letters, are taken for the plain ones.
"""

import unicodedata
from collections import Counter
from functools import lru_cache

CJK = "CJK"
LATIN = "LATIN"
_OF_CJK = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}


@lru_cache(maxsize=20_000)
def letter_script(character: str) -> str | None:
    """The script of a letter; None for what is no letter, or a letter of no script, such as a modifier."""
    plain = unicodedata.normalize("NFKC", character)[0]
    if unicodedata.category(plain) not in ("Lu", "Ll", "Lt", "Lo"):
        return None
    script = unicodedata.name(plain, "").partition(" ")[0]
    return CJK if script in _OF_CJK else script or None


def script_shares(text: str) -> dict[str, float]:
    """The share of a text's letters that each script has, from 0 to 1; empty for a text without letters."""
    if text.isascii():
        return {LATIN: 1.0} if any(character.isalpha() for character in text) else {}
    counts = Counter(script for script in map(letter_script, text) if script is not None)
    n_letters = counts.total()
    return {script: count / n_letters for script, count in counts.items()}
