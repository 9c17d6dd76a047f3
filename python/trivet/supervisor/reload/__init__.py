"""A reload: what asks for one, what it reads, and the order of its steps."""
