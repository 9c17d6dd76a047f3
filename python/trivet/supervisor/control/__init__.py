"""The control socket of a running stand: `server` owns the bytes, `desk` the answers."""
