"""Deployments over HTTP: the routes, what they take and tell, and the class that answers."""
