"""Hugging Face models: opening a checkpoint, cutting it after a block, reading the vector that a block gives.

What runs models (`backends`) and what trains them (`pairs`) open them here, so that a pair is trained on the very
vectors it is measured on. Importing this room imports no torch; its modules do.
"""
