"""Faults at every call: the real functions and state machines in a simulated account."""
