"""A worker process on the fake native module: `python -m tests.unit.run_worker --control-fd N`."""

import sys

from tests.unit import fake_native

if __name__ == "__main__":
    fake_native.install()
    from trivet.worker.process import main

    sys.exit(main(sys.argv[1:]))
