"""Trivet holds a Python web app in production: web server, application server, framework side."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Look the version up only when somebody asks: reading the metadata costs 20 ms."""
        if name == "__version__":
            from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

            try:
                return version("trivet")
            except PackageNotFoundError:
                return "0+source"
        raise AttributeError(name)
