"""The pocket pairs: what they are taught, that training goes on where it stopped, and that the real ones measure."""

from pathlib import Path

import pytest
import torch
from pipeline_runs import Silence, run
from torch import nn

from nlareport.checkpoint import read_sidecar
from nlareport.errors import CheckpointMissing, DownloadFailed
from nlareport.pairs import packages
from nlareport.pairs.building import build_pair
from nlareport.pairs.catalog import PAIRS, Package
from nlareport.pairs.locating import adapters_folder
from nlareport.pairs.targets import completion_of, explanation_of
from nlareport.pairs.training_loop import train
from nlareport.prompts import explanation_in
from nlareport.store.whole_run import read_run

POCKET = Path("data/experiments/pocket.yaml")


def test_a_target_quotes_growing_spans_and_ends_in_the_last_words() -> None:
    context = "It was late. The old bridge over the river was swept away by the flo"
    expected = 'Ends "flo" "by the flo". Final words: the river was swept away by the flo'
    assert explanation_of(context) == expected
    assert explanation_in(completion_of(expected)) == expected


def test_pocket_corpus_and_training_articles_share_no_text() -> None:
    held_out, training = packages.held_out_articles(), packages.training_articles()
    assert len(held_out) + len(training) == len(packages.news_articles()) > 3_500
    assert not {text[:100] for text in held_out} & {text[:100] for text in training}
    assert min(map(len, held_out)) > 600


def test_a_wheel_that_is_not_the_expected_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLAREPORT_CACHE", str(tmp_path))
    folder = tmp_path / "wheels" / "made-up-1.0"
    folder.mkdir(parents=True)
    (folder / "made_up-1.0-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(DownloadFailed, match="is not the file this version was made with; delete it"):
        packages.fetch(Package("made-up==1.0", "0" * 64))


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

    train("test", {"parameter": parameter}, loss_at, 120, 0.05, state_file, Silence())
    return parameter.detach()


def test_training_cut_off_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    undisturbed = _trained(tmp_path / "whole.state", None)
    with pytest.raises(KeyboardInterrupt):
        _trained(tmp_path / "cut.state", stop_at=77)
    assert torch.equal(_trained(tmp_path / "cut.state", None), undisturbed)
    assert not torch.equal(undisturbed, torch.zeros(4))


@pytest.mark.parametrize("pair_id", list(PAIRS))
def test_a_built_pair_is_an_ordinary_checkpoint(pair_id: str) -> None:
    pair = PAIRS[pair_id]
    built = build_pair(pair, adapters_folder())
    for directory, role in ((built.verbalizer, "av"), (built.reconstructor, "ar")):
        sidecar = read_sidecar(directory)
        assert (sidecar.role, sidecar.block_index, sidecar.d_model) == (role, pair.block_index, pair.d_model)
        assert (directory / "config.json").exists()
        assert (directory / "model.safetensors").exists()
    assert build_pair(pair, adapters_folder()) == built


def test_pocket_pairs_beat_their_nulls_and_the_best_constant_guess(tmp_path: Path) -> None:
    run(POCKET, tmp_path / "pocket.duckdb", "transformers", limit=32)
    rows = read_run(tmp_path / "pocket.duckdb")
    diagonals = [cell for cell in rows.cells if cell.source == cell.target and cell.subset == "all"]
    assert len(diagonals) == 2
    for cell in diagonals:
        assert cell.fve_nrm is not None
        assert cell.null_fve is not None
        assert cell.fve_meannorm is not None
        assert cell.fve_nrm > cell.null_fve + 0.5
        # Under this denominator the best constant guess is exactly 0.
        assert cell.fve_meannorm > 0
