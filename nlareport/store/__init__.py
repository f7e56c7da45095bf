"""Stores runs: the only room that knows DuckDB and how runs are kept on disk."""
