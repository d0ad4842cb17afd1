"""What looks after running A/B tests: looks, watches between them, and what follows from an end."""
