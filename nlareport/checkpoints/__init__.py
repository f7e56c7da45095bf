"""The checkpoint contract: the sidecar, prompts, tags and the tokens a checkpoint begins with. Opens no model."""
