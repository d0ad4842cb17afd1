"""Rollouts that go up by themselves and retreat by themselves."""
