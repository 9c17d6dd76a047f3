"""The configuration: every option, loading them, and finding the app.

Owns every default of Trivet. Decides nothing at run time and starts nothing.

Length: one file for each section of the settings, so that it is found by its name.
"""

from trivet.config.edge import to_edge_config
from trivet.config.load import load
from trivet.config.loaded import ConfiguredApp, ConfiguredTask, Loaded, Origin
from trivet.config.settings import Settings
from trivet.config.source.platform import Platform
from trivet.config.value.bind import Bind
from trivet.config.value.duration import Duration
from trivet.config.value.size import Size

__all__ = [
    "Bind",
    "ConfiguredApp",
    "ConfiguredTask",
    "Duration",
    "Loaded",
    "Origin",
    "Platform",
    "Settings",
    "Size",
    "load",
    "to_edge_config",
]
