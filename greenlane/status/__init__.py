"""Everything that is under way, and whatever needs a person, on one screen."""
