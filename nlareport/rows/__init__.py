"""The tables of a run file as Python sees them: one frozen dataclass per table, declared by `@table`."""

# All of them, so that `declaration.TABLES` is whole, and in the order in which tables are filled.
from nlareport.rows import run_rows  # isort: skip
from nlareport.rows import item_rows  # isort: skip
from nlareport.rows import cell_rows  # isort: skip
from nlareport.rows import draw_rows  # isort: skip
from nlareport.rows import text_rows  # isort: skip
from nlareport.rows import tag_rows  # isort: skip
from nlareport.rows import given_rows  # isort: skip

__all__ = ["cell_rows", "draw_rows", "given_rows", "item_rows", "run_rows", "tag_rows", "text_rows"]
