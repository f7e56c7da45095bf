"""Arithmetic on rows and vectors: scores, cells, intervals, baselines and every other figure of a run."""
