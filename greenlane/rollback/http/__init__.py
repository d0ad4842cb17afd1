"""Webhooks that start the way back, over the HTTP API."""
