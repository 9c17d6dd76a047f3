"""Requests that nobody waits for and that still run, and workers that they have wedged."""
