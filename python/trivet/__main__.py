"""`python -m trivet`: the same as the `trivet` command."""

from __future__ import annotations

from trivet.cli import main

if __name__ == "__main__":
    main()
