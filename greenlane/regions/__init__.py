"""Deployments through several AWS Regions: what is declared, when it may be, and in what order."""
