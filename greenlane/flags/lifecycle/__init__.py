"""Which flags are used, by whom, and which should be gone."""
