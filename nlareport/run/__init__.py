"""A run: what each stage still lacks, where its input lies and where its answers go."""
