"""What people write about a service, and how files become one configuration."""
