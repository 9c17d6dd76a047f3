"""Ending requests that nobody waits for any more, and saying where they were."""
