"""What people write: the YAML, what is wrong with it, and the snapshot made of it."""
