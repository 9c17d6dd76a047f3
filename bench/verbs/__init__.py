"""What `python -m bench` can do beside the tables of `run`, one module for each verb."""
