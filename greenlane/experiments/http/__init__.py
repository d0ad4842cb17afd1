"""A/B tests over HTTP: assignments, exposures and events by API key, everything else by IAM."""
