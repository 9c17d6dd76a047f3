"""The cycle collector of a worker, once the app is loaded."""

import gc


def settle() -> None:
    """Spare the collector what will live to the end: it is never walked again.

    How often the collector looks for the rest stays as Python or the app has set it: looking less
    often was measured, and lost (`docs/decisions/0004-garbage-collection.md`).
    """
    gc.collect()
    gc.freeze()
