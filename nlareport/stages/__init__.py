"""The stages of a run as pure functions: typed values in, typed values out; models and tokenizers are handed in."""
