"""Flags over HTTP: lookups by OFREP, and what people and pipelines do."""
