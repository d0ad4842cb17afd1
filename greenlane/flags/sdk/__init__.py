"""Flags in Python services: manager, decorator, contexts, OpenFeature provider."""
