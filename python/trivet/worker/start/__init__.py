"""How a worker comes to be, beside the plain way: forked of another, and with hooks."""
