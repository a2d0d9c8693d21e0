"""The register that a suite's claims are of: whether it can be read, and has the lines cited."""

from collections.abc import Iterator
from pathlib import Path

from ablate.evidence import register
from ablate.evidence.register import Register
from ablate.evidence.spelling import listed
from ablate.suite.load import Loaded
from ablate.suite.source import Problem, SuiteError


def problems(loaded: Loaded) -> Iterator[Problem]:
    """Yield what is wrong with the register that a suite names."""
    if loaded.suite.cites is not None:
        try:
            _register(loaded)
        except SuiteError as error:
            at = loaded.source.position(("cites",))
            yield Problem(at, f"the register {loaded.suite.cites!r} cannot be used:\n{error}")


def notices(loaded: Loaded) -> list[str]:
    """Say which lines are cited that are no rows of the suite's register, if there are any."""
    known = _register(loaded)
    if known is None:
        return []
    hints = {note: known.unknown(note) for note in dict.fromkeys(_notes(loaded))}
    said = [f"{note} ({hint})" for note, hint in hints.items() if hint is not None]
    what = "a line that is no row" if len(said) == 1 else "lines that are no rows"
    return [f"claims cite {what} of “{known.title}”: {listed(said)}"] if said else []


def file(loaded: Loaded) -> Path | None:
    """Return the file of the register that a suite is about, None if it is about none."""
    return register.path_of(loaded.suite.cites, Path(loaded.source.name).parent, _notes(loaded))


def _register(loaded: Loaded) -> Register | None:
    path = file(loaded)
    if path is None:
        return None
    return register.course() if path == register.COURSE_FILE else register.load(path)


def _notes(loaded: Loaded) -> list[str]:
    return [claim.note for it in loaded.suite.comparisons for claim in it.claims]
