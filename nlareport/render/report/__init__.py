"""The page of one run: its sections, each filled by queries."""
