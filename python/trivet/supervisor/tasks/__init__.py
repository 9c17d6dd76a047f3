"""Background tasks (`[task.NAME]`): what is to run, when, and the processes."""
