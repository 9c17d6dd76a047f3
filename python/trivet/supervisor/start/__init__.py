"""How processes are started: as whom, by which Python, forked of whom, and the pid file."""
