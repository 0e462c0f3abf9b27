"""The terminal view: each report rendered from its struct and nothing else."""
