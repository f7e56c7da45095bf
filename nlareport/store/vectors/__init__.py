"""Vectors and texts beside a run file, as Parquet."""
