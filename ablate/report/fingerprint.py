"""Fingerprints: eight hex digits that stand for the data of a table or a figure.

They are the first of a SHA-256, of a table's CSV without the columns that tell of no data (which
study asked, and whether the numbers may be cited), of a figure's values where no table has them
all. The same numbers have the same fingerprint, whatever else is asked of a suite later; another
number has another one. `ablate verify` holds a fingerprint that was cited against today's.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

NO_DATA = ("study", "screening")  # columns of a CSV that are no data: they may change alone
DIGITS = 8


def of_text(text: str) -> str:
    """Return the fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def of_arrays(named: "Iterable[tuple[str, np.ndarray[Any, Any]]]") -> str:
    """Return the fingerprint of arrays: of their names, types, shapes and bytes, in order."""
    state = hashlib.sha256()
    for name, array in named:
        state.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        state.update(array.tobytes())  # in C order, however it lies in memory
    return state.hexdigest()[:DIGITS]
