"""What a statement locks, rewrites and breaks, and its safe form."""
