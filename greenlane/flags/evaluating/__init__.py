"""What a flag is for a user. Pure, and of the standard library's lightest modules alone."""
