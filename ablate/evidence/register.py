"""Registers: what notes claim, line by line, whether or not a suite tests it.

A register is a YAML file: the titles of the notes, a row for each claim with its number, its line,
its words and what is needed to judge it, and the places where notes contradict each other. It holds
no verdicts; registered.py brings them to its rows. `registers/course.yaml` is the one that comes
with the package, and users write their own (`ablate notes new`).

A suite cites lines. It is about the register that it names (`cites: my_notes.yaml`); one that names
none is about the course's where most of the lines that it cites are rows there.
"""

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from ablate import catalog
from ablate.suite.claims import Reference
from ablate.suite.resolve import named, words
from ablate.suite.source import Loc, Problem, Source, SuiteError, parse

COURSE = "course"  # by this name a suite cites the register that comes with the package
COURSE_FILE = Path(__file__).parent / "registers" / "course.yaml"

# What is needed to judge a row.
Kind = Literal["S", "X", "L", "T", "P", "D"]
KINDS: dict[Kind, str] = {
    "S": "arithmetic: shapes, parameters, MACs, receptive fields, exact equality",
    "X": "a census of published architectures",
    "L": "latency or memory",
    "T": "trained networks",
    "P": "a protocol or an assignment",
    "D": "a definition or a pointer: nothing to judge",
}


def _some_words(text: str) -> str:
    if not text.strip():
        raise ValueError("there are no words here; quote the notes, or say why")
    return text


Words = Annotated[str, AfterValidator(_some_words)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Part = TypeVar("_Part", bound=_Strict)


class Note(_Strict):
    """A text whose lines are cited."""

    title: Words
    url: str | None = None


class Row(_Strict):
    """A claim of a note."""

    row: PositiveInt  # its number for ever
    note: Reference  # note and line: "A:113"
    says: Words  # the note's own words
    kinds: list[Kind] = Field(min_length=1)
    untestable: Words | None = None  # why there can be no verdict on it

    @property
    def is_definition(self) -> bool:
        """Whether there is nothing to judge."""
        return "D" in self.kinds


class Said(_Strict):
    """What one side of a contradiction says: a row's words, or words alone."""

    note: Reference | None = None
    says: Words


class Contradiction(_Strict):
    """Two sides that do not go together."""

    topic: Words
    of_words: bool = False  # one word with two meanings, which no experiment can settle
    sides: list[Annotated[list[Said], Field(min_length=1)]] = Field(min_length=2, max_length=2)


class Register(_Strict):
    """What notes claim."""

    title: Words
    notes: dict[str, Note] = Field(min_length=1)  # by the letter with which lines are cited
    rows: list[Row] = Field(min_length=1)
    contradictions: list[Contradiction] = []
    later: list[PositiveInt] = []  # numbers of rows that no suite tests yet

    @cached_property
    def by_note(self) -> dict[str, Row]:
        """The rows by what cites them."""
        return {row.note: row for row in self.rows}

    def row_of(self, note: str) -> Row | None:
        """Return the row that a reference is to: its own, or `A:113` of a further claim `A:113b`.

        None where there is no such row.
        """
        further = re.fullmatch(r"(.*\d)[a-z]", note)
        return self.by_note.get(note) or (self.by_note.get(further[1]) if further else None)

    def unknown(self, note: str) -> str | None:
        """Say of a reference that is to no row which one may be meant; None where it is to one."""
        if self.row_of(note) is not None:
            return None
        return _nearest(note, self.by_note, self.notes)


def load(path: Path, name: str | None = None) -> Register:
    """Read a register.

    Args:
        path: the file.
        name: how messages call it; the path where none is given.

    Raises:
        SuiteError: it cannot be read, or is no sound register: with every problem, and its place.
    """
    source = parse(path, name or str(path), "a register needs title, notes and rows")
    if not isinstance(source.data, dict):
        message = "a register is a mapping: title, notes, rows, contradictions, later"
        raise SuiteError(source.name, source.text, [Problem(source.position(()), message)])
    problems = [Problem(source.position(at), text) for at, text in _wrong(source.data)]
    try:
        register = Register.model_validate(source.data)
    except ValidationError as error:
        wrong = error.errors()
        unknown = [it["loc"] for it in wrong if it["type"] == "extra_forbidden"]
        problems += [_in_words(it, source) for it in wrong if not _is_misspelt(it, unknown)]
    if problems:
        raise SuiteError(source.name, source.text, problems)
    return register


@cache  # every plan asks for it
def course() -> Register:
    """Return the register that comes with the package."""
    return load(COURSE_FILE, COURSE_FILE.name)


def path_of(cites: str | None, folder: Path, notes: Sequence[str]) -> Path | None:
    """Return the file of the register that a suite is about, None if it is about none.

    Args:
        cites: what the suite says of it.
        folder: of the suite; a register's path is taken from there.
        notes: what its claims cite.
    """
    if cites is None:
        rows = sum(course().row_of(note) is not None for note in notes)
        return COURSE_FILE if 2 * rows > len(notes) else None
    return COURSE_FILE if cites == COURSE else folder / cites


def _in_words(error: Any, source: Source) -> Problem:
    """Return one of pydantic's errors, with its place."""
    loc: Loc = error["loc"]
    key = error["type"] in ("extra_forbidden", "missing")
    if error["type"] == "missing":
        whose = _WHOSE.get(str(loc[0]), "the register") if len(loc) > 1 else "the register"
        message = f"{whose} has no {str(loc[-1])!r}, which it needs"
    elif loc[-2:-1] == ("kinds",):
        message = f"unknown kind {error['input']!r}; there are: {', '.join(KINDS)}"
    else:
        message = named(loc, words(error, _keys(loc)))
    return Problem(source.position(loc, key=key), message)


def _is_misspelt(error: Any, unknown: Sequence[Loc]) -> bool:
    """Whether a key is missing only because it is there under another name, which is said."""
    loc: Loc = error["loc"]
    beside = [str(other[-1]) for other in unknown if other[:-1] == loc[:-1]]
    return error["type"] == "missing" and catalog.alike(str(loc[-1]), beside)


_WHOSE = {"rows": "the row", "notes": "the note", "contradictions": "the contradiction"}


def _keys(loc: Loc) -> Iterable[str]:
    """Return the keys that may stand where an unknown one was found."""
    models: dict[str | int, type[BaseModel]] = {"rows": Row, "notes": Note}
    models["contradictions"] = Said if "sides" in loc else Contradiction
    return (Register if len(loc) == 1 else models.get(loc[0], Register)).model_fields


def _wrong(data: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    """Find what is there twice, and what names nothing, in what is sound in itself."""
    rows = list(_sound(Row, "rows", data))
    notes = [str(letter) for letter in data["notes"]] if isinstance(data.get("notes"), dict) else []
    numbers: dict[int, Row] = {}
    lines: dict[str, Row] = {}
    for at, row in rows:
        if row.row in numbers:
            taken = f"row {row.row} is {numbers[row.row].note} already; take a new number"
            yield (*at, "row"), taken
        if row.note in lines:
            further = f"a further claim on that line has a letter behind it: {row.note + 'b'!r}"
            yield (*at, "note"), f"{row.note!r} is row {lines[row.note].row} already; {further}"
        letter = row.note.partition(":")[0]
        if letter not in notes:
            hint = catalog.suggest(letter, notes)
            yield (*at, "note"), f"{row.note!r} is of a note that `notes` does not have; {hint}"
        if row.is_definition and len(row.kinds) > 1:
            yield (*at, "kinds"), "D has nothing to judge, so it stands alone"
        if row.is_definition and row.untestable is not None:
            yield (*at, "untestable"), "a row of kind D has no verdict anyway; leave this out"
        numbers.setdefault(row.row, row)
        lines.setdefault(row.note, row)
    for at, found in _sound(Contradiction, "contradictions", data):
        for place, side in enumerate(found.sides):
            for number, said in enumerate(side):
                if said.note is not None and said.note not in lines:
                    text = f"{said.note!r} is no row; {_nearest(said.note, lines, notes)}"
                    yield (*at, "sides", place, number, "note"), text
    written = data.get("later")
    later = written if isinstance(written, list) else []
    for place, one in enumerate(later):
        if not isinstance(one, int):
            continue  # said elsewhere
        if one not in numbers:
            yield ("later", place), f"there is no row {one}"
        elif numbers[one].is_definition or numbers[one].untestable is not None:
            yield (
                ("later", place),
                f"row {one} can have no verdict, and waits for none; leave it out",
            )
        elif later.index(one) < place:
            yield ("later", place), f"row {one} is given twice"


def _sound(model: type[_Part], key: str, data: dict[str, Any]) -> Iterator[tuple[Loc, _Part]]:
    """Yield those parts of a list that are sound in themselves, each with its place."""
    items = data.get(key)
    for number, item in enumerate(items if isinstance(items, list) else ()):
        with contextlib.suppress(ValidationError):
            yield (key, number), model.model_validate(item)


def _nearest(note: str, lines: Iterable[str], letters: Iterable[str]) -> str:
    """Return the end of a message on a reference to no row: which row may be meant."""
    letter = note.partition(":")[0]
    same = [other for other in lines if other.partition(":")[0] == letter]
    if not same:
        return f"there is no note {letter}; {catalog.suggest(letter, letters)}"
    return f"did you mean {difflib.get_close_matches(note, same, n=1, cutoff=0)[0]!r}?"
