"""The HTTP API: what a route is, how requests become answers, and the document of all of it."""
