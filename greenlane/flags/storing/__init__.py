"""Where flags are kept, and the way of every change: checked, proposed, kept, audited."""
