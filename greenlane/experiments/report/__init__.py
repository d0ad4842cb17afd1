"""The report of an A/B test: JSON and one HTML page, made of what was stored and nothing else."""
