"""Regions as they were applied: which file a service's rollouts go by, with all of its versions."""
