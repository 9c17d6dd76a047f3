"""Did you mean …?"""

from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Find the candidate that the writer most probably meant, or none.

    A dotted candidate is also found by its last part: `worker` finds `server.workers`.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only needed when something is wrong

    def plain(text: str) -> str:
        return text.lower().replace("-", "_")

    spellings: dict[str, str] = {}
    for candidate in candidates:
        spellings.setdefault(plain(candidate), candidate)
        spellings.setdefault(plain(candidate.rpartition(".")[2]), candidate)
    for wanted in (plain(word), plain(word).rpartition(".")[2]):
        if found := get_close_matches(wanted, spellings, n=1, cutoff=cutoff):
            return spellings[found[0]]
    return None
