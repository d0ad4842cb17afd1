"""A test's own traffic dealt anew as A/A: how often it finds an effect that cannot be there."""
