"""Where the checkpoint directories of pocket pairs are kept in the user's cache, built or not yet."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nlareport.files.user_cache import cache_folder
from nlareport.pairs.catalog import PocketBase, PocketPair


@dataclass(frozen=True, slots=True)
class BuiltPair:
    """The three checkpoint directories of a pair."""

    base: Path
    verbalizer: Path
    reconstructor: Path


def base_place(base: PocketBase) -> Path:
    """The directory of a base model."""
    return cache_folder() / "bases" / base.name


def pair_place(pair: PocketPair, data_folder: Path) -> BuiltPair:
    """The directories of a pair as its adapters in the data folder now are."""
    folder = cache_folder() / "pairs" / pair.pair_id / adapters_digest(data_folder / pair.pair_id)
    return BuiltPair(base_place(pair.base), folder / "av", folder / "ar")


def adapters_digest(adapters: Path) -> str:
    """A short name for exactly these adapters: a retrained pair gets a build of its own."""
    digest = hashlib.sha256()
    for file in sorted(adapters.glob("a[vr]/*")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]
