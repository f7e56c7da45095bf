"""Runs and matrices as values for notebooks and scripts: what `import nlareport` offers."""
