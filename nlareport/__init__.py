"""Measures how much meaning survives between Natural Language Autoencoders, and publishes the report."""

__version__ = "0.1.0"
