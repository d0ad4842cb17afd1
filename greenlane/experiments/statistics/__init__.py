"""The arithmetic of a test: exact, sequential, and nothing of AWS in it."""
