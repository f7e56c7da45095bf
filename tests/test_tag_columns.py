import json
from pathlib import Path

import pytest
import yaml

from nlareport.errors import BundleInvalid
from nlareport.rows.item_rows import Tag
from nlareport.store.bundle.bundle import bundle_rows

PAIR = {"pair_id": "a", "family": "f", "base_model": "org/a", "block_index": 1, "d_model": 8, "variance_nrm": 0.5}


def a_bundle(folder: Path, items: list[dict[str, object]], tags: str | None = None) -> Path:
    (folder / "run.yaml").write_text(yaml.safe_dump({"title": "Tagged", "pairs": [PAIR]}))
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in items))
    (folder / "scores.csv").write_text("item_id,source,target,mse_nrm\n" + "".join(f"{k},a,a,0.2\n" for k in (0, 1)))
    if tags is not None:
        (folder / "tags.csv").write_text(tags)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(BundleInvalid, match=r"items|tags") as caught:
        bundle_rows(folder)
    return str(caught.value)


def test_columns_of_items_and_the_file_of_tags_are_both_read(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [
        {"item_id": 0, "token": "x", "tag:condition": "benign", "tag:layer": 20, "tag:is_chat": True},
        {"item_id": 1, "token": "y", "tag:condition": "jail=break", "tag:layer": None, "tag:is_chat": False},
    ]
    rows = bundle_rows(a_bundle(tmp_path, items, "item_id,name,value\n1,<b>länge</b>,über 100\n"))
    assert sorted((tag.name, tag.item_id, tag.value) for tag in rows.of(Tag)) == [
        ("<b>länge</b>", 1, "über 100"),
        ("condition", 0, "benign"),
        ("condition", 1, "jail=break"),
        ("is_chat", 0, "true"),
        ("is_chat", 1, "false"),
        ("layer", 0, "20"),
    ]


def test_what_is_no_tag_is_refused_with_the_way_to_make_it_one(tmp_path: Path) -> None:
    plain = {"token": "x", "condition": "benign", "stratum": "reply_early"}
    said = refusal(a_bundle(tmp_path, [{"item_id": k, **plain} for k in (0, 1)]))
    assert "'condition' is not known; remove it or correct its spelling, or name it tag:NAME" in said
    assert (
        "stratum says 'reply_early'; it must be one of digits, punctuation, prose. Groups of your own are a tag" in said
    )


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("stratum", "x", "tag name 'stratum' is the name of what every item has"),
        ("a=b", "x", "tag name 'a=b' holds an equals sign"),
        ("n" * 101, "x", "(101 characters) has 101 characters; 100 are the most"),
        ("", "x", "tag name '' is empty"),
        ("name", "v" * 201, "has 201 characters; 200 are the most"),
        ("name", "two\nlines", "tag value 'two\\nlines' holds line breaks"),
        ("name", "turned \u202eround", "holds line breaks, control characters, invisible ones"),
    ],
)
def test_names_and_values_that_no_page_could_show_are_refused(
    tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    assert complaint in refusal(
        a_bundle(tmp_path, [{"item_id": k, "token": "x", f"tag:{name}": value} for k in (0, 1)])
    )


def test_an_item_with_two_values_of_one_tag_is_refused(tmp_path: Path) -> None:
    items: list[dict[str, object]] = [{"item_id": k, "token": "x", "tag:layer": 20} for k in (0, 1)]
    said = refusal(a_bundle(tmp_path, items, "item_id,name,value\n1,layer,21\n"))
    assert "2 rows repeat a tag, such as 'layer' of item 1; keep one of each" in said
