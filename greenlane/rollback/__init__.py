"""The one way back."""
