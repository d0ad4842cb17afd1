"""How a process comes by its snapshot, and tells of what it evaluated."""
