"""The databases that Greenlane knows: where each is, how to sign in, what spares it."""
