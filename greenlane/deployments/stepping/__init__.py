"""What each function of the deployment machine does, and the pure decisions between them."""
