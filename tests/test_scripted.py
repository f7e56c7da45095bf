import subprocess
import sys

import numpy as np
import pytest

from nlareport.backends import ENGINES, EngineSettings, load_engine
from nlareport.checkpoints.prompts import explanation_in
from nlareport.errors import EngineUnknown
from nlareport.experiment.pair_section import PairSpec


def pair(pair_id: str, d_model: int) -> PairSpec:
    return PairSpec(
        pair_id=pair_id,
        label=pair_id,
        family="scripted",
        base_model="none",
        block_index=1,
        d_model=d_model,
        verbalizer="none",
        reconstructor="none",
    )


PAIRS = [pair("a-1", 64), pair("b-2", 48), pair("c-3", 96)]


def texts() -> list[str]:
    generator = np.random.default_rng(0)
    words = [f"word{number}" for number in range(200)] + ["extraordinary", "constellation", "the"]
    return [" ".join(generator.choice(words, 30)) for _ in range(60)]


def test_importing_the_backends_imports_no_torch() -> None:
    code = "import sys, nlareport.backends; print('torch' in sys.modules, 'transformers' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]


def test_the_scripted_engine_runs_without_torch() -> None:
    code = (
        "import sys; from nlareport.backends import load_engine; load_engine('scripted'); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False"]


def test_an_unknown_engine_is_refused_with_those_there_are() -> None:
    with pytest.raises(EngineUnknown, match=f"No engine is called 'abacus'; choose from {', '.join(ENGINES)}"):
        load_engine("abacus")


def test_its_tokens_cover_the_text_in_order() -> None:
    text = "The extraordinary constellation, 1998!"
    for spec in PAIRS:
        tokens = load_engine("scripted").tokenizer(spec).tokenize(text, None)
        pieces = [text[start:end] for start, end in zip(tokens.char_starts, tokens.char_ends, strict=True)]
        assert pieces[0] == ""
        assert "".join(pieces) == text
        assert len(load_engine("scripted").tokenizer(spec).tokenize(text, 3).token_ids) == 3


def test_the_pairs_do_not_all_cut_alike() -> None:
    lengths = {
        len(load_engine("scripted").tokenizer(pair(f"p-{n}", 32)).tokenize("constellation", None).token_ids)
        for n in range(9)
    }
    assert lengths == {2, 3}


def test_the_diagonal_is_best_and_a_shuffled_text_is_worse_than_any_pair() -> None:
    engine = load_engine("scripted")
    golds, explanations = {}, {}
    for spec in PAIRS:
        tokenizer = engine.tokenizer(spec)
        with engine.extractor(spec) as extractor, engine.verbalizer(spec) as verbalizer:
            vectors = extractor.extract([tokenizer.tokenize(text, None).token_ids for text in texts()])
            golds[spec.pair_id] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            explanations[spec.pair_id] = [answer.text for answer in verbalizer.verbalize(vectors)]
    for target in PAIRS:
        cosines, shuffled = {}, {}
        for source in PAIRS:
            with engine.reconstructor(target) as reconstructor:
                vectors = reconstructor.reconstruct(explanations[source.pair_id])
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            cosines[source.pair_id] = float((vectors * golds[target.pair_id]).sum(axis=1).mean())
            shuffled[source.pair_id] = float((np.roll(vectors, 1, axis=0) * golds[target.pair_id]).sum(axis=1).mean())
        assert max(cosines, key=lambda name: cosines[name]) == target.pair_id
        assert min(cosines.values()) > max(shuffled.values())


def test_the_same_vector_gets_the_same_answer_alone_or_in_a_batch() -> None:
    with load_engine("scripted").verbalizer(PAIRS[0]) as verbalizer:
        vectors = np.random.default_rng(1).standard_normal((5, 64)).astype(np.float32)
        assert verbalizer.verbalize(vectors) == [verbalizer.verbalize(vectors[row : row + 1])[0] for row in range(5)]


def test_a_small_budget_ends_some_answers_before_their_closing_tag() -> None:
    with load_engine("scripted", EngineSettings(max_new_tokens=10)).verbalizer(PAIRS[1]) as verbalizer:
        answers = verbalizer.verbalize(np.random.default_rng(1).standard_normal((20, 48)).astype(np.float32))
    assert {answer.finish for answer in answers} == {"stop", "length"}
    for answer in answers:
        assert answer.n_tokens <= 10
        assert answer.finish == "length" or explanation_in(answer.text)
    assert any(explanation_in(answer.text) is None for answer in answers)
