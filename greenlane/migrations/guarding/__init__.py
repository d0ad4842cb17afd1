"""The lease, the watch over a run, its backup and its release, and what people are told."""
