"""The claim page of a worker: shared memory that says which requests Python has started.

The Python face of `crates/trivet-wire/src/claim.rs`. Python only makes the page; edge and worker
read and write it through the native module.
"""

import os

from trivet import _trivet


def create_claim_page() -> int:
    """Return the descriptor of a fresh, initialised claim page; the caller owns it."""
    descriptor = os.memfd_create("trivet-claim", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, _trivet.CLAIM_PAGE_BYTES)
        _trivet.init_claim_page(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
