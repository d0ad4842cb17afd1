"""What each kind of statement does: one module for a kind of object, one function for a node."""
