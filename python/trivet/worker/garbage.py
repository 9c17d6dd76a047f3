"""The cycle collector of a worker, once the app is loaded."""

import gc

YOUNG_OBJECTS = 20_000
"""Net new containers before the young generation is looked through.

Python's default (700; 2,000 in newer ones) is reached every few requests of a framework, and each
look walks all requests in progress. Measured on Flask hello: 10 to 20 % of a request's time. The
price is garbage in cycles that lives longer: 20,000 small containers, a few MiB.
"""


def settle() -> None:
    """Spare the collector what will live to the end, and look less often.

    An app that has set thresholds of its own while it was loaded keeps them.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if gc.isenabled() and young == _DEFAULT:
        gc.set_threshold(YOUNG_OBJECTS, *older)


_DEFAULT = gc.get_threshold()[0]
