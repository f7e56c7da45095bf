"""Arithmetic on rows and vectors: scores, cells, intervals and what is measured beside them."""
