"""A run as a folder anyone can read and write: run.yaml and its tables as Parquet, CSV or JSONL."""
