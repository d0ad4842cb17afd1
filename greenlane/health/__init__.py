"""Judging a slot by its numbers."""
