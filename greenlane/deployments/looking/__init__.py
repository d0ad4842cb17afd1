"""Where a service stands, what a deployment would see, what a past one saw; nothing acts."""
