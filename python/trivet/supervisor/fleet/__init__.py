"""The workers of one app: who serves, who replaces whom, how many there are, and for how long."""
