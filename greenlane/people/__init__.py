"""Telling people: what is said, through which channel, and what became of it."""
