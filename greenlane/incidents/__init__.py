"""What people get to know about a deployment: the report of what happened, and who is told."""
