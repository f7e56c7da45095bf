"""Figures published on a page, as a run file."""
