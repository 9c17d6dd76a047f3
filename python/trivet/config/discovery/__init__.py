"""Which app? Finding it without importing anything.

Strategy: the source is only read (`ast`), never run, so looking has no side effects and costs
milliseconds. What reading cannot see (`from x import *`, `globals()`) it does not forbid: a name
that was asked for is believed, and only the import decides. Two candidates that nothing tells apart
are listed, never guessed between.
"""

from trivet.config.discovery.discover import Discovered, discover

__all__ = ["Discovered", "discover"]
