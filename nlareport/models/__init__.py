"""Hugging Face models: opening a checkpoint, cutting it after a block, reading the vector that a block gives.

What runs models (`backends`) and what trains them (`pairs`) open them here: a pair is trained on the very vectors that
it is measured on. Importing this package imports no torch; its modules do.
"""
