"""The manifest of a folder of SQL files."""
