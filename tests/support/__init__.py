"""What tests share: made runs, browsers, sites, tiny checkpoints."""
