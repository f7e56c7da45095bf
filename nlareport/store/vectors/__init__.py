"""Vectors and texts next to a run file, as Parquet."""
