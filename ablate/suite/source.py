"""YAML with the position of every key and value, and problems that point at them.

Suites are data: tags, anchors and aliases are refused (an alias bomb is a few lines that expand to
gigabytes), duplicate keys too. Scalars follow YAML 1.2, so `no` and `on` are strings.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    NodeEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

Loc = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MOST_SHOWN = 20  # problems that an error's text spells out
WIDEST = 200  # characters of a source line that are shown; of a longer one what stands around

# What the YAML parser says, as a pattern, and what has usually happened then.
_HINTS = {
    r"<block end>.* (<block|'<block|\?|'\?|-|'-)|document start|sequence entries": (
        "does the indentation fit the lines above?"
    ),
    r"mapping values": "a text that holds ': ' needs quotes; or is the line indented too far?",
    r"character '\\t'": "indent with spaces, not with tabs",
    r"cannot start any token": "a text that begins like this needs quotes",
    r"unexpected end of stream": "the quote that opens here is not closed",
    r"could not find expected ':'": "a key needs a colon and a space after it",
}


@dataclass(frozen=True, order=True)
class Position:
    """A place in a suite file, counted from 1; line 0 stands for the file as a whole."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong and what to do instead.

    `where` is a position in the suite file, or the words by which a command-line setting goes.
    """

    where: Position | str
    message: str


class SuiteError(Exception):
    """A suite that cannot be used. Its text names every problem, with file, line and column."""

    def __init__(self, name: str, text: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.lines = text.splitlines()
        self.problems = sorted(dict.fromkeys(problems), key=_order)
        shown = [self._show(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            shown.append(f"… and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join(shown))

    def _show(self, problem: Problem) -> str:
        if isinstance(problem.where, str):
            return f"{problem.where}: {problem.message}"
        line, column = problem.where.line, problem.where.column
        if line == 0:
            return f"{self.name}: {problem.message}"
        head = f"{self.name}:{line}:{column}: {problem.message}"
        if line > len(self.lines):  # an end that the parser places after the last line
            return head
        text, caret = _window(self.lines[line - 1], column - 1)
        margin = " " * len(str(line))
        return f"{head}\n  {line} | {text}\n  {margin} | {caret}"


@dataclass(frozen=True)
class Source:
    """A parsed suite file: plain data and where each part of it stands."""

    name: str  # as shown in messages
    text: str
    data: Any
    keys: dict[Loc, Position] = field(repr=False)  # where a mapping's key stands
    values: dict[Loc, Position] = field(repr=False)  # where a value begins

    def position(self, loc: Loc, *, key: bool = False) -> Position:
        """Return where `loc` stands, or where the nearest enclosing thing does."""
        for end in range(len(loc), -1, -1):
            if key and loc[:end] in self.keys:
                return self.keys[loc[:end]]
            if loc[:end] in self.values:
                return self.values[loc[:end]]
        return Position(0, 0)


_NEEDS = "a suite needs id, title, question, base and comparisons"


def parse(path: Path, name: str, needs: str = _NEEDS) -> Source:
    """Read a suite file.

    Args:
        path: the file.
        name: how messages call it.
        needs: what is said of a file that is empty.

    Raises:
        SuiteError: it cannot be read, is no YAML, or holds what suites may not (tags, aliases,
            duplicate keys, several documents).
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SuiteError(name, "", [_whole(f"cannot be read: {error.strerror}")]) from error
    if len(raw) > MAX_BYTES:
        raise SuiteError(name, "", [_whole(f"is larger than {MAX_BYTES:,} bytes; no suite is")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        message = f"line {line} is not UTF-8 text; save the file as UTF-8"
        raise SuiteError(name, "", [_whole(message)]) from error
    source = read(text, name)
    if not source.values:
        raise SuiteError(name, text, [_whole(f"is empty; {needs}")])
    return source


def read(text: str, name: str) -> Source:
    """Parse YAML; of an empty text the data are None.

    Args:
        text: of a suite or of a value.
        name: how messages call it.

    Raises:
        SuiteError: it is no YAML, or holds what suites may not.
    """
    try:
        problems = _forbidden(text)
        if problems:
            raise SuiteError(name, text, problems)
        loader = YAML(typ="safe", pure=True)
        node = loader.compose(text)
    except MarkedYAMLError as error:
        raise SuiteError(name, text, [_misread(error, text)]) from error
    except ReaderError as error:
        before = text[: error.position]
        where = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        what = f"not valid YAML: the character U+{error.character:04X}; remove it"
        raise SuiteError(name, text, [Problem(where, what)]) from error
    except YAMLError as error:
        message = f"not valid YAML: {str(error).splitlines()[0]}"
        raise SuiteError(name, text, [_whole(message)]) from error
    source = Source(name, text, None, {}, {})
    if node is None:
        return source
    found: list[Problem] = []
    data = _plain(node, (), source, found, loader)
    if found:
        raise SuiteError(name, text, found)
    return Source(name, text, data, source.keys, source.values)


def _misread(error: MarkedYAMLError, text: str) -> Problem:
    """Return what the parser found wrong, with what it usually means."""
    problem = str(error.problem or error.context)
    begun, mark = error.context_mark, error.problem_mark or error.context_mark
    hint = next((hint for pattern, hint in _HINTS.items() if re.search(pattern, problem)), "")
    if "unexpected end of stream" in problem or "could not find" in problem:
        mark = begun or mark
    if problem.startswith(("expected ',' or '}'", "expected ',' or ']'")):
        lines = text.splitlines()
        if mark.line < len(lines) and re.search(r"\{.*\[\d+\]", lines[mark.line]):
            hint = "inside { } a path that holds [ ] needs quotes, or write it without: stages.2"
        elif begun and begun.line != mark.line:
            opened = lines[begun.line][begun.column]
            hint = f"is the {opened} of line {begun.line + 1} closed?"
    where = Position(mark.line + 1, mark.column + 1) if mark else Position(0, 0)
    return Problem(where, f"not valid YAML: {problem}" + (f"; {hint}" if hint else ""))


def _forbidden(text: str) -> list[Problem]:
    """Find tags, anchors, aliases, further documents and deep nesting; builds nothing."""
    problems: list[Problem] = []
    depth = documents = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        here = Position(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, AliasEvent):
            problems.append(
                Problem(
                    here,
                    "aliases (*name) are refused; write the value out, or name a variant once "
                    "under `variants:`",
                )
            )
        elif isinstance(event, NodeEvent) and event.anchor:
            problems.append(Problem(here, "anchors (&name) are refused; write the value alone"))
        if getattr(event, "tag", None) and not isinstance(event, AliasEvent):
            problems.append(Problem(here, "YAML tags (!name) are refused; write the value alone"))
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                problems.append(
                    Problem(here, "one file holds one suite; remove what follows `---`")
                )
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                deep = f"nested more than {MAX_DEPTH} levels deep; no suite is"
                return [*problems, Problem(here, deep)]
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if len(problems) >= MOST_SHOWN:
            break
    return problems


def _plain(node: Node, loc: Loc, source: Source, problems: list[Problem], loader: YAML) -> Any:
    here = Position(node.start_mark.line + 1, node.start_mark.column + 1)
    if node.start_mark.index == node.end_mark.index and loc in source.keys:
        here = source.keys[loc]  # `seeds:` and nothing after it
    source.values[loc] = here
    if isinstance(node, ScalarNode):
        value = loader.constructor.construct_object(node)
        # A date is the one scalar that JSON does not know; suites mean the text.
        return value if isinstance(value, str | int | float | None) else str(node.value)
    if isinstance(node, SequenceNode):
        return [
            _plain(item, (*loc, index), source, problems, loader)
            for index, item in enumerate(node.value)
        ]
    assert isinstance(node, MappingNode)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        at = Position(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, ScalarNode):
            problems.append(Problem(at, "a key must be a word, not a list or a mapping"))
            continue
        key = str(key_node.value)
        if key in result:
            first = source.keys[(*loc, key)]
            problems.append(
                Problem(
                    at,
                    f"duplicate key {key!r}, which stands in line {first.line} already; "
                    "remove one of the two",
                )
            )
            continue
        source.keys[(*loc, key)] = at
        result[key] = _plain(value_node, (*loc, key), source, problems, loader)
    return result


def _window(line: str, column: int) -> tuple[str, str]:
    """Return a line, cut where it is too long to show, and the line with a caret under it."""
    if len(line) > WIDEST:
        start = max(0, column - WIDEST // 2)
        end = start + WIDEST
        line = "…" * (start > 0) + line[start:end] + "…" * (end < len(line))
        column -= start - (start > 0)
    # What takes more or less than a column above must do so below.
    margin = "".join(
        "\t" if char == "\t" else "  " if east_asian_width(char) in "WF" else " "
        for char in line[:column]
    )
    return line, f"{margin}^"


def _whole(message: str) -> Problem:
    return Problem(Position(0, 0), message)


def _order(problem: Problem) -> tuple[int, Position, str]:
    if isinstance(problem.where, str):
        return 1, Position(0, 0), problem.where
    return 0, problem.where, ""
