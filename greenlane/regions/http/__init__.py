"""Rollouts through several Regions over HTTP, in the Region of their coordinator."""
