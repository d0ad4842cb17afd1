"""Feature flags: who gets what, decided the same everywhere.

Everything that a lookup needs (`engine`, `bucketing`, `conditions`, `schedule`) imports only the
standard library's lightest modules: its cold start is a feature.
"""
