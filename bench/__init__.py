"""The benchmark of Trivet: the same apps behind Trivet and its peers, measured side by side.

Standard library only, so that any Python that runs Trivet can run it; the peers live apart in
`bench/.venv`. `python -m bench --help` tells the verbs.
"""
