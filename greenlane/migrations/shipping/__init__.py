"""Migrations that go with a release: begun by its deployment, and what they forbid to deploy."""
