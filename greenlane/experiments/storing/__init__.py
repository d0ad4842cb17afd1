"""Where A/B tests are kept, and the way of every change: checked, kept, audited."""
