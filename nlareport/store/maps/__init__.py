"""Results in the layouts that others write, made into the tables of a run by a map, a small YAML file."""
