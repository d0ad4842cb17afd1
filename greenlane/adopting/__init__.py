"""Adopting a service that exists: read it, plan what is missing, add it, and take it away again.

`finding` reads, `planning` decides (pure), `steps` acts, `undoing` puts everything back as found.
"""
