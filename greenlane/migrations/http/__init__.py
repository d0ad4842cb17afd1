"""Runs of migrations and restores over HTTP; nothing here reads SQL or reaches a database."""
