"""A/B tests: who sees what, what is counted, and a decision that holds however often one looks.

Pure: nothing here talks to AWS. Numbers come from the standard library alone (ADR 0028).
"""
