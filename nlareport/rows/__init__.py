"""The tables of a run file as Python sees them: one frozen dataclass per table."""
