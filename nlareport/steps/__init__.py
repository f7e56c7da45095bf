"""What each stage still lacks, where its input lies and where its answers go: between the stages and the store."""
