"""What users of a test did: recorded exactly once, whatever is sent twice, late or out of order."""
