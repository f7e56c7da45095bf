import copy
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlareport.checkpoints.injection_rule import Injection
from nlareport.checkpoints.sidecar import Sidecar, checkpoint_sha256, parse_sidecar, read_sidecar, sidecar_content
from nlareport.checkpoints.sidecar_values import Role
from nlareport.errors import CheckpointInvalid, CheckpointMissing

SIDECARS = sorted((Path(__file__).parent / "fixtures" / "sidecars").glob("*.yaml"))


def released(name: str) -> dict[str, Any]:
    path = next(path for path in SIDECARS if path.stem == name)
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def parsed(content: dict[str, Any]) -> Sidecar:
    return parse_sidecar(content, Path("nla_meta.yaml"))


@pytest.mark.parametrize(
    ("name", "role", "d_model", "block_index", "injection_scale"),
    [
        ("qwen-av", "av", 3584, 20, 150.0),
        ("qwen-ar", "ar", 3584, 20, None),
        ("g12-av", "av", 3840, 32, 80_000.0),
        ("g12-ar", "ar", 3840, 32, None),
        ("g27-av", "av", 5376, 41, 60_000.0),
        ("g27-ar", "ar", 5376, 41, None),
    ],
)
def test_every_released_sidecar_is_read(
    name: str, role: str, d_model: int, block_index: int, injection_scale: float | None
) -> None:
    sidecar = parsed(released(name))
    assert (sidecar.role, sidecar.d_model, sidecar.block_index) == (role, d_model, block_index)
    assert sidecar.injection_scale == injection_scale
    assert sidecar.mse_scale == pytest.approx(math.sqrt(d_model))
    assert (sidecar.reconstructor_suffix_ids is None) == (role == "av")
    assert sidecar.verbalizer_template.endswith("<concept>{injection_char}</concept>\n\nPlease provide an explanation.")
    assert sidecar.reconstructor_template == "Summary of the following text: <text>{explanation}</text> <summary>"


@pytest.mark.parametrize("path", SIDECARS, ids=lambda path: path.stem)
def test_what_is_written_is_read_back(path: Path) -> None:
    sidecar = parse_sidecar(yaml.safe_load(path.read_text(encoding="utf-8")), path)
    content = sidecar_content(sidecar)
    assert parsed(yaml.safe_load(yaml.safe_dump(content, allow_unicode=True))) == sidecar
    real = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert all(real[key] == value for key, value in content.items())


def test_older_spellings_mean_the_same() -> None:
    content = released("qwen-ar")
    older = copy.deepcopy(content)
    older["schema_version"] = 1
    older["role"] = "critic"
    older["prompt_templates"] = {
        "actor": content["prompt_templates"]["av"],
        "critic": content["prompt_templates"]["ar"],
    }
    del older["extraction_layer_index"]
    older["critic"] = {"num_hidden_layers": 20}
    assert parsed(older) == parsed(content)


def test_the_block_may_stand_under_critic_alone() -> None:
    content = released("g12-ar")
    del content["extraction_layer_index"]
    assert parsed(content).block_index == 32


@pytest.mark.parametrize("role", ["av", "actor", "verbalizer"])
def test_the_verbalizer_and_its_template_may_be_called_so(role: str) -> None:
    content = released("qwen-av")
    content["role"] = role
    content["prompt_templates"] = {"verbalizer": content["prompt_templates"]["av"]}
    assert parsed(content).role == "av"
    assert parsed(content).verbalizer_template == released("qwen-av")["prompt_templates"]["av"]
    assert parsed(content).reconstructor_template == ""


def test_the_reconstructor_template_may_be_called_reconstructor() -> None:
    content = released("qwen-ar")
    content["role"] = "reconstructor"
    content["prompt_templates"] = {"reconstructor": content["prompt_templates"]["ar"]}
    assert parsed(content).reconstructor_template == released("qwen-ar")["prompt_templates"]["ar"]
    assert parsed(content).verbalizer_template == ""


@pytest.mark.parametrize(
    ("written", "scale"),
    [(None, None), ("raw", None), ("sqrt_d_model", math.sqrt(3584)), (150, 150.0), (2.5, 2.5), ("8e4", 80_000.0)],
)
def test_scales_are_numbers_names_or_nothing(written: object, scale: float | None) -> None:
    content = released("qwen-av")
    content["extraction"] = {"injection_scale": written, "mse_scale": written}
    assert parsed(content).injection_scale == scale
    assert parsed(content).mse_scale == scale


def test_an_absent_mse_scale_is_the_root_of_d_model() -> None:
    content = released("qwen-av")
    del content["extraction"]["mse_scale"]
    assert parsed(content).mse_scale == math.sqrt(3584)


def test_an_absent_injection_scale_is_a_fault_of_an_av_only() -> None:
    reconstructor, verbalizer = released("qwen-ar"), released("qwen-av")
    del reconstructor["extraction"]["injection_scale"]
    assert parsed(reconstructor).injection_scale is None
    del verbalizer["extraction"]["injection_scale"]
    with pytest.raises(CheckpointInvalid, match=r"nla_meta.yaml: extraction.injection_scale: is missing"):
        parsed(verbalizer)


def test_every_fault_is_listed_with_its_key() -> None:
    content = released("qwen-av")
    content["schema_version"] = "2"
    content["d_model"] = "wide"
    content["extraction"]["injection_scale"] = -1
    content["extraction"]["mse_scale"] = math.inf
    content["tokens"]["injection_token_id"] = True
    content["tokens"]["critic_suffix_ids"] = "none"
    del content["tokens"]["injection_left_neighbor_id"]
    content["prompt_templates"]["av"] = "Explain {injection_char}{injection_char}"
    with pytest.raises(CheckpointInvalid, match="schema_version") as caught:
        parsed(content)
    keys = [line.split(": ")[1] for line in str(caught.value).splitlines()]
    assert keys == [
        "schema_version",
        "d_model",
        "extraction.injection_scale",
        "extraction.mse_scale",
        "tokens.injection_token_id",
        "tokens.injection_left_neighbor_id",
        "tokens.critic_suffix_ids",
        "prompt_templates.av",
    ]


MISSING = object()
MOST_WHOLE, MOST_SCALE = 2_147_483_647, 1e12
ANY_SCALE = f"it must be a number above 0 and up to {MOST_SCALE:g}, `sqrt_d_model`, or null for the vector's own norm"
FROM_0, FROM_1 = (f"it must be a whole number from {least} to {MOST_WHOLE}" for least in (0, 1))
MODES = "a vector can `replace` what is at the marker or be `add`ed to it, nothing else"
IDS = "it must be a list of token ids, or null"


def with_value(content: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """The content with a dotted key set, or taken away."""
    changed = copy.deepcopy(content)
    *parts, last = key.split(".")
    inner = changed
    for part in parts:
        inner = inner.setdefault(part, {})
    if value is MISSING:
        del inner[last]
    else:
        inner[last] = value
    return changed


@pytest.mark.parametrize(
    ("name", "key", "value", "sentence"),
    [
        ("qwen-av", "kind", "nla", "must be nla_model or nla_dataset; it says 'nla'"),
        ("qwen-av", "kind", None, "must be nla_model or nla_dataset; it says None"),
        ("qwen-av", "schema_version", 0, f"says 0; {FROM_1}"),
        ("qwen-av", "schema_version", [2], f"says [2]; {FROM_1}"),
        ("qwen-av", "schema_version", True, f"says True; {FROM_1}"),
        ("qwen-av", "schema_version", "2", f"says '2'; {FROM_1}"),
        ("qwen-av", "schema_version", None, f"says None; {FROM_1}"),
        ("qwen-av", "schema_version", MOST_WHOLE + 1, f"says {MOST_WHOLE + 1}; {FROM_1}"),
        (
            "qwen-av",
            "injection_layer",
            1,
            "names a block and not whether a vector replaces or is added there; give injection.mode",
        ),
        ("qwen-av", "injection_mode", "replace everywhere", f"says 'replace everywhere'; {MODES}"),
        ("qwen-av", "injection_mode", ["replace"], f"says ['replace']; {MODES}"),
        ("qwen-av", "injection.norm_match", "yes", "says 'yes'; it must be true or false"),
        ("qwen-av", "injection.coefficient", 0, "says 0; it must be a number above 0 and up to 1e+06"),
        ("qwen-av", "prompt_format", "chatml", "says 'chatml'; it must be `raw` or `chat`"),
        ("qwen-av", "role", MISSING, "is missing; it must be `av` or `ar`"),
        ("qwen-av", "role", "AV", "says 'AV'; it must be `av` or `ar`"),
        ("qwen-av", "role", ["av"], "says ['av']; it must be `av` or `ar`"),
        ("qwen-av", "d_model", MISSING, f"is missing; {FROM_1}"),
        ("qwen-av", "d_model", 0, f"says 0; {FROM_1}"),
        ("qwen-av", "d_model", 3584.0, f"says 3584.0; {FROM_1}"),
        ("qwen-av", "d_model", True, f"says True; {FROM_1}"),
        ("qwen-av", "d_model", MOST_WHOLE + 1, f"says {MOST_WHOLE + 1}; {FROM_1}"),
        ("qwen-av", "extraction_layer_index", -1, f"says -1; {FROM_0}"),
        ("qwen-av", "extraction.injection_scale", MISSING, f"is missing; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", 0, f"says 0; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", 0.0, f"says 0.0; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", "0", f"says 0.0; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", 1.1e12, f"says 1100000000000.0; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", -150, f"says -150; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", True, f"says True; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", math.nan, f"says nan; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", "wide", f"says 'wide'; {ANY_SCALE}"),
        ("qwen-av", "extraction.injection_scale", [150], f"says [150]; {ANY_SCALE}"),
        ("qwen-ar", "extraction.mse_scale", 0, f"says 0; {ANY_SCALE}"),
        ("qwen-ar", "extraction.mse_scale", math.inf, f"says inf; {ANY_SCALE}"),
        ("qwen-av", "tokens.injection_char", MISSING, "is missing; it must be a text"),
        ("qwen-av", "tokens.injection_char", "", "says ''; it must be a text"),
        ("qwen-av", "tokens.injection_char", 5, "says 5; it must be a text"),
        ("qwen-av", "tokens.injection_token_id", MISSING, f"is missing; {FROM_0}"),
        ("qwen-av", "tokens.injection_left_neighbor_id", None, f"says None; {FROM_0}"),
        ("qwen-av", "tokens.injection_right_neighbor_id", "5", f"says '5'; {FROM_0}"),
        ("qwen-ar", "tokens.critic_suffix_ids", [1, -1], f"says [1, -1]; {IDS}"),
        ("qwen-ar", "tokens.critic_suffix_ids", [1, True], f"says [1, True]; {IDS}"),
        ("qwen-ar", "tokens.critic_suffix_ids", [MOST_WHOLE + 1], f"says [{MOST_WHOLE + 1}]; {IDS}"),
        ("qwen-ar", "tokens.critic_suffix_ids", "5", f"says '5'; {IDS}"),
        ("qwen-av", "tokens.adds_bos", "no", "says 'no'; it must be true, false or null"),
        ("qwen-av", "tokens.adds_bos", 0, "says 0; it must be true, false or null"),
        ("qwen-av", "extraction.d_model", 3585, "says 3585; it must be the width that d_model says"),
        ("qwen-av", "prompt_templates.av", MISSING, "is missing; it must be a text"),
        (
            "qwen-av",
            "prompt_templates.actor",
            "Say {injection_char}.",
            "is another template than prompt_templates.actor; take out the one that was not trained with",
        ),
        ("qwen-av", "prompt_templates.av", "Say.", "holds {injection_char} 0 times; it must hold it once"),
        ("qwen-av", "prompt_templates.ar", "Read.", "holds {explanation} 0 times; it must hold it once"),
        ("qwen-av", "prompt_templates.ar", 7, "says 7; it must be a text"),
        ("qwen-ar", "prompt_templates.ar", MISSING, "is missing; it must be a text"),
        (
            "qwen-ar",
            "prompt_templates.ar",
            "{explanation} {explanation}",
            "holds {explanation} 2 times; it must hold it once",
        ),
        (
            "qwen-ar",
            "critic.extraction_layer_index",
            21,
            "says 20, critic.extraction_layer_index says 21; both must be the same block index",
        ),
        (
            "qwen-ar",
            "critic.num_hidden_layers",
            21,
            "says 20, critic.num_hidden_layers says 21; both must be the same block index",
        ),
        (
            "qwen-av",
            "extraction.layer_index",
            19,
            "says 20, extraction.layer_index says 19; both must be the same block index",
        ),
    ],
)
def test_a_fault_is_said_in_one_sentence(name: str, key: str, value: object, sentence: str) -> None:
    with pytest.raises(CheckpointInvalid) as caught:
        parsed(with_value(released(name), key, value))
    said_of = {
        "critic.extraction_layer_index": "extraction_layer_index",
        "critic.num_hidden_layers": "extraction_layer_index",
        "extraction.layer_index": "extraction_layer_index",
        "prompt_templates.actor": "prompt_templates.av",
    }.get(key, key)
    assert str(caught.value) == f"nla_meta.yaml: {said_of}: {sentence}."


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("qwen-av", "kind", MISSING),
        ("qwen-av", "schema_version", MISSING),
        ("qwen-av", "tokens.injection_token_id", 0),
        ("qwen-av", "tokens.injection_token_id", MOST_WHOLE),
        ("qwen-av", "extraction_layer_index", 0),
        ("qwen-ar", "tokens.critic_suffix_ids", [0, MOST_WHOLE]),
        ("qwen-ar", "tokens.critic_suffix_ids", MISSING),
        ("qwen-ar", "prompt_templates.av", MISSING),
        ("qwen-ar", "prompt_templates.av", None),
        ("qwen-av", "prompt_templates.ar", ""),
        ("qwen-av", "extraction.injection_scale", "none"),
        ("qwen-av", "extraction.injection_scale", MOST_SCALE),
        ("qwen-av", "extraction.injection_scale", 1e-9),
        ("qwen-ar", "extraction.d_model", 3584),
        ("qwen-ar", "extraction.layer_index", 20),
        ("qwen-ar", "critic.num_hidden_layers", 20),
        ("qwen-av", "tokens.adds_bos", None),
        ("qwen-av", "schema_version", 1),
    ],
)
def test_what_may_be_missing_or_at_the_edge_is_no_fault(name: str, key: str, value: object) -> None:
    content = with_value(released(name), key, value)
    if name == "qwen-av" and key == "extraction_layer_index":
        assert parsed(content).block_index == 0
    assert parsed(content).role == name.removeprefix("qwen-")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extraction.norm", "unit"),
        ("extraction.token_position", "mean"),
        ("tokens.slot_ids", [5, 6]),
        ("tokens.corpus", "x"),
        ("tokens.extra", {"injection_char": "x"}),
        ("critic.pooling", "mean"),
        ("critic.injection_scale", 3.0),
        ("prompt_templates.system", "You are terse."),
        ("injectionMode", "add"),
        ("Layer_Indices", [12, 18]),
        ("mse_scale", 3.0),
        ("input_normalisation", True),
        ("mean_vector", "mean.npy"),
        ("whitening", "zca"),
        ("subtract_mean", True),
        ("input_projection", "proj.safetensors"),
        ("centre_activations", True),
    ],
)
def test_a_key_that_asks_for_what_is_not_done_is_refused_by_name(key: str, value: object) -> None:
    for name in ("qwen-av", "qwen-ar"):
        content = released(name)
        content.setdefault("critic", {})
        with pytest.raises(CheckpointInvalid) as caught:
            parsed(with_value(content, key, value))
        assert str(caught.value) == (
            f"nla_meta.yaml: '{key}': asks for something nlareport does not do, so vectors would be handled "
            "differently than in training; use a checkpoint that does not need it, or remove keys that are only "
            "informative."
        )


def test_all_keys_that_are_not_done_stand_in_one_sentence() -> None:
    content = with_value(released("qwen-av"), "extraction.token_position", "mean")
    content |= {"whitening": "zca", "input_projection": "proj.safetensors"}
    with pytest.raises(CheckpointInvalid) as caught:
        parsed(content)
    assert str(caught.value).startswith(
        "nla_meta.yaml: 'extraction.token_position', 'whitening', 'input_projection': ask for something "
    )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", ["extraction", "critic"])
@pytest.mark.parametrize("value", [5, "sqrt_d_model", [], False])
def test_a_section_that_holds_no_keys_is_refused(section: str, value: object) -> None:
    sentence = rf"^nla_meta\.yaml: {section}: says .*; it must be a mapping of keys, or null\.$"
    with pytest.raises(CheckpointInvalid, match=sentence):
        parsed(released("qwen-ar") | {section: value})
    assert parsed(released("qwen-ar") | {"critic": None}) == parsed(released("qwen-ar"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("extraction.injection_mode", "replace"),
        ("injection_mode", "Replacement"),
        ("extraction.norm", "none"),
        ("extraction.norm", "raw"),
        ("extraction.injection_layer", None),
        ("injection", {"mode": "replace", "block": "embedding", "norm_match": False}),
        ("steering_coefficient", 1),
        ("layer_indices", None),
        ("extraction.base_model", "Qwen/Qwen2.5-7B-Instruct"),
        ("extraction.corpus", "openbmb/Ultra-FineWeb"),
        ("extraction.corpus_slice", {"start": 0, "length": 10}),
        ("extraction.positions_per_doc", 10),
        ("base_checkpoint", "Qwen/Qwen2.5-7B-Instruct"),
        ("trained_on", ["rows.parquet"]),
        ("parent_checkpoints", []),
        ("stage", "rl"),
        ("training", {"injection_layer": 1, "lr": 1e-5}),
        ("notes", "Trained for a week."),
        ("git_commit", "047eb8e"),
        ("licence", "Apache-2.0"),
    ],
)
def test_what_only_informs_or_is_done_anyway_is_read(key: str, value: object) -> None:
    assert parsed(with_value(released("qwen-av"), key, value)) == parsed(released("qwen-av"))


def test_a_verbalizer_as_the_releases_trainer_writes_it_is_read_without_a_block() -> None:
    content = released("qwen-av")
    del content["extraction_layer_index"]
    content["role"] = "actor"
    content["prompt_templates"] = {
        "actor": content["prompt_templates"]["av"],
        "critic": "Summary of the following text: <text>{explanation}</text> <summary>",
    }
    content |= {"base_checkpoint": "x", "trained_on": [], "parent_checkpoints": []}
    sidecar = parsed(content)
    assert sidecar.block_index is None
    assert "extraction_layer_index" not in sidecar_content(sidecar)
    assert parsed(sidecar_content(sidecar)) == sidecar
    with pytest.raises(CheckpointInvalid, match=r"The AV's sidecar names no block; add extraction_layer_index\."):
        _ = sidecar.named_block
    assert parsed(with_value(content, "extraction_layer_index", None)).block_index is None
    assert parsed(with_value(content, "extraction_layer_index", 7)).named_block == 7


def test_a_block_may_stand_under_extraction_alone() -> None:
    content = released("qwen-av")
    del content["extraction_layer_index"]
    assert parsed(with_value(content, "extraction.layer_index", 20)).block_index == 20


def test_the_same_template_under_two_names_is_one() -> None:
    content = released("qwen-av")
    content["prompt_templates"]["actor"] = content["prompt_templates"]["av"]
    assert parsed(content) == parsed(released("qwen-av"))


@pytest.mark.parametrize(("written", "read"), [(1, 2), (2, 2), (3, 3), (MOST_WHOLE, MOST_WHOLE)])
def test_a_newer_schema_version_is_read_and_kept(written: int, read: int) -> None:
    sidecar = parsed(with_value(released("qwen-av"), "schema_version", written))
    assert sidecar.schema_version == read
    assert parsed(sidecar_content(sidecar)) == sidecar
    assert parsed(with_value(released("qwen-av"), "schema_version", MISSING)).schema_version == 2


@pytest.mark.parametrize("adds_bos", [True, False])
def test_whether_texts_begin_with_a_bos_may_be_said(adds_bos: bool) -> None:
    sidecar = parsed(with_value(released("qwen-av"), "tokens.adds_bos", adds_bos))
    assert sidecar.adds_bos is adds_bos
    assert parsed(sidecar_content(sidecar)) == sidecar
    assert parsed(released("qwen-av")).adds_bos is None
    assert "adds_bos" not in sidecar_content(parsed(released("qwen-av")))["tokens"]


def test_the_smallest_width_is_1() -> None:
    assert parsed(with_value(released("qwen-av"), "d_model", 1)).d_model == 1


def test_the_sidecar_of_a_directory_is_its_yaml_file(tmp_path: Path) -> None:
    (path,) = [path for path in SIDECARS if path.stem == "qwen-ar"]
    (tmp_path / "nla_meta.yaml").write_bytes(path.read_bytes())
    assert read_sidecar(tmp_path) == parsed(released("qwen-ar"))
    assert read_sidecar(tmp_path).injection_char == "㈎"
    (tmp_path / "nla_meta.yaml").write_text("role: av\n")
    with pytest.raises(CheckpointInvalid) as caught:
        read_sidecar(tmp_path)
    assert f"{tmp_path / 'nla_meta.yaml'}: d_model: is missing; {FROM_1}." in str(caught.value).splitlines()


def test_a_reconstructors_block_is_written_in_both_places() -> None:
    assert sidecar_content(parsed(released("qwen-ar")))["critic"] == {"extraction_layer_index": 20}
    assert "critic" not in sidecar_content(parsed(released("qwen-av")))


def test_a_missing_sidecar_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissing, match=r"nla_meta.yaml: cannot be read"):
        read_sidecar(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "is not YAML"),
        ("- 1", "holds no sidecar; the top level must be keys such as `role` and `d_model`\\.$"),
    ],
)
def test_a_sidecar_that_is_no_mapping_is_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "nla_meta.yaml").write_text(text)
    with pytest.raises(CheckpointInvalid, match=what):
        read_sidecar(tmp_path)


def test_a_sidecar_that_is_there_but_cannot_be_read_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "nla_meta.yaml").write_bytes(b"role: \xff")
    with pytest.raises(CheckpointInvalid, match=r"nla_meta\.yaml"):
        read_sidecar(tmp_path)


def test_the_digest_tells_how_many_bytes_were_read(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    heard: list[int] = []
    assert checkpoint_sha256(tmp_path, heard.append) == checkpoint_sha256(tmp_path)
    assert sum(heard) == 2000


def test_the_digest_covers_every_weight_file_by_name(tmp_path: Path) -> None:
    # A folder lists its files in an order of its own; that of nine is never the alphabet's.
    for number in (4, 9, 2, 7, 5, 1, 8, 3, 6):
        (tmp_path / f"model-{number}.safetensors").write_bytes(f"model-{number}.safetensors".encode())
    (tmp_path / "config.json").write_text("{}")
    lines = [
        f"{name} {hashlib.sha256(name.encode()).hexdigest()}\n"
        for name in (f"model-{number}.safetensors" for number in range(1, 10))
    ]
    assert checkpoint_sha256(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()
    with pytest.raises(CheckpointMissing, match=r"holds no \*\.safetensors"):
        checkpoint_sha256(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ({"injection": "add"}, Injection("add")),
        ({"injection": {"mode": "add"}}, Injection("add")),
        ({"injection": {"mode": "add", "block": 1, "norm_match": True}}, Injection("add", 1, norm_match=True)),
        ({"injection_mode": "additive, norm-matched", "injection_layer": 1}, Injection("add", 1, norm_match=True)),
        ({"injection_mode": "norm_matched_add", "hook_onto_layer": 1}, Injection("add", 1, norm_match=True)),
        ({"injection_mode": "Karvonen", "injection_layer": 1}, Injection("add", 1, norm_match=True)),
        (
            {"injection": {"mode": "replace", "layer": 0}, "steering_coefficient": 2},
            Injection("replace", 0, False, 2.0),
        ),
        ({"injection_mode": "add", "injection_layer": "embedding"}, Injection("add")),
    ],
)
def test_how_a_vector_enters_is_read_in_the_fields_spellings(said: dict[str, Any], rule: Injection) -> None:
    sidecar = parsed(released("qwen-av") | said)
    assert sidecar.injection == rule
    assert parsed(sidecar_content(sidecar)) == sidecar


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"injection": {"mode": "add", "block": 1}, "injection_layer": 2},
            "injection.block: says 1, injection_layer says 2",
        ),
        (
            {"injection": {"norm_match": False}, "injection_mode": "additive_norm_matched"},
            "injection.norm_match: says false, injection_mode says 'additive_norm_matched'; both must be the same",
        ),
        ({"injection": {"mode": "add", "position": "last"}}, "'injection.position': asks for something"),
    ],
)
def test_what_two_keys_say_of_an_injection_must_be_the_same(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CheckpointInvalid, match=rf"^nla_meta.yaml: {re.escape(sentence)}"):
        parsed(released("qwen-av") | said)


def test_a_scale_is_needed_unless_norms_are_matched() -> None:
    content = released("qwen-av")
    del content["extraction"]["injection_scale"]
    with pytest.raises(CheckpointInvalid, match=r"extraction.injection_scale: is missing"):
        parsed(content)
    assert parsed(content | {"injection": {"mode": "add", "norm_match": True}}).injection_scale is None


def test_a_datasets_sidecar_is_read_as_that_of_the_half_it_is_used_as() -> None:
    content = released("qwen-ar") | {"kind": "nla_dataset", "schema_version": 1}
    content["extraction"] |= {"layer_index": content.pop("extraction_layer_index"), "d_model": content.pop("d_model")}
    del content["role"], content["critic"]
    roles: tuple[Role, ...] = ("av", "ar")
    for role in roles:
        content["extraction"]["injection_scale"] = 150.0
        sidecar = parse_sidecar(content, Path("nla_meta.yaml"), role)
        assert (sidecar.role, sidecar.block_index, sidecar.d_model) == (role, 20, 3584)
    with pytest.raises(CheckpointInvalid, match=r"role: is missing; it must be `av` or `ar`"):
        parsed(content)


def test_a_reconstructor_may_say_nothing_of_a_marker_and_which_block_it_reads() -> None:
    content = released("qwen-ar")
    content["tokens"] = {"critic_suffix_ids": [1, 2]}
    content["critic"] = {"reads_block": 17, "extraction_layer_index": 20}
    sidecar = parsed(content)
    assert (sidecar.injection_char, sidecar.reads_block, sidecar.block_index) == ("", 17, 20)
    assert parsed(sidecar_content(sidecar)) == sidecar
    content["tokens"]["injection_token_id"] = 5
    with pytest.raises(CheckpointInvalid, match=r"tokens.injection_char: is missing; it must be a text"):
        parsed(content)
