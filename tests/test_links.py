from hypothesis import given, settings
from hypothesis import strategies as st

from nlareport.files.file_names import file_name
from nlareport.render.links import browse_href, cell_id, cell_name, family_name
from nlareport.rows.run_rows import PairId

ids = (
    st.sampled_from(["a", "b", "a-", "-b", "a--b", "b--a", "a~b", "~a", "A", "%41", "#", "a b", ""]) | st.text()
).map(PairId)
cells = st.tuples(ids, ids)


@settings(deadline=None)
@given(cells, cells)
def test_different_cells_have_different_addresses(one: tuple[PairId, PairId], other: tuple[PairId, PairId]) -> None:
    for address in (cell_id, cell_name, browse_href):
        assert (address(*one) == address(*other)) == (one == other)


@settings(deadline=None)
@given(cells)
def test_an_address_needs_no_escaping(cell: tuple[PairId, PairId]) -> None:
    assert set(cell_id(*cell) + cell_name(*cell)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-"
    )
    assert browse_href(*cell) == f"browse.html#cell={cell_name(*cell)}"


def test_ordinary_ids_keep_the_addresses_they_had() -> None:
    source, target = PairId("smollm2-L20"), PairId("qwen05-L16")
    assert cell_id(source, target) == "cell-smollm2-L20--qwen05-L16"
    assert browse_href(source, target, 7) == "browse.html#cell=smollm2-L20~qwen05-L16&item=7"


def test_a_family_is_called_by_its_name_unless_a_form_would_change_it() -> None:
    assert family_name("Llama 3") == "Llama 3"
    for odd in ("", " Llama", "Llama\n3", "x" * 500):
        assert family_name(odd) == file_name(odd) != odd
