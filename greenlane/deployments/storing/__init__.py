"""How deployments and their history are kept in the table."""
