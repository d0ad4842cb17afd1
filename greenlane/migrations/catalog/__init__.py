"""What a database contains, as data."""
