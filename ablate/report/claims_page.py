"""The page of all claims: every row of the registers in use, with what suites found of it.

Rows stand in the order of note and line, so that the page is read without a script; the counts link
to them by verdict, suite and note. A script, where it may run, filters and sorts. The id of a row
is permanent: `A-113`, of a user's own register `mine-A-113`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ablate.evidence.gathered import Judged, Noted
from ablate.evidence.register import COURSE_FILE, KINDS, Kind, Note, Said
from ablate.evidence.registered import Cited, Entry, RowWord, by_suite, is_judged, resolution
from ablate.evidence.spelling import counted, listed, number, one_line
from ablate.evidence.verdicts import Word
from ablate.report.tables import Cell, Column, Line, Table, end
from ablate.study import Study

# Word of a row → the symbol beside it, the tone of both, and what the word says.
MARKS: dict[RowWord, tuple[str, str, str]] = {
    "supported": ("✓", "better", "What the line says holds, by more than the margin."),
    "supported in direction": (
        *("✓", "better"),
        "What it says holds; whether by more than the margin is open.",
    ),
    "true but negligible": ("≈", "open", "What it says holds, but by less than matters."),
    "refuted": ("✗", "worse", "The opposite holds, no difference that matters, or another number."),
    "depends": (
        *("◐", "open"),
        "It holds in some settings and not in others, or its claims came out differently: each "
        "is told.",
    ),
    "answered": ("→", "open", "It is a question, and this is its answer."),
    "inconclusive": (
        *("?", "open"),
        "Not to be told from these runs; where that helps, with the seeds that would tell.",
    ),
    "invalid": ("!", "open", "Trials diverged, or a figure cannot be vouched for."),
    "not yet tested": ("○", "quiet", "No suite has run yet that could tell."),
    "cannot be tested": ("–", "quiet", "No experiment can tell, for the reason that is given."),
    "a definition": ("·", "quiet", "A name or a pointer: nothing to judge."),
}
# What it takes to test a row, by the first of its kinds that is here, and what that is called.
TAKES: dict[Kind, str] = {
    "T": "trained networks",
    "L": "timing or memory",
    "X": "a census of published networks",
    "S": "arithmetic",
    "P": "a protocol to be followed",
    "D": "nothing",
}


@dataclass(frozen=True)
class Found:
    """What one claim of a suite found."""

    place: str  # suite and comparison
    link: str  # to the table; "" where the suite has no page
    word: Word
    said: str  # the verdict's sentence, without its scope
    scope: str  # in brackets; may be empty
    screening: bool


@dataclass(frozen=True)
class FoundBy:
    """What one suite found of a row: a claim for each verdict, further ones folded."""

    suite: str
    word: RowWord
    differs: bool  # whether the row's own word is another
    shown: tuple[Found, ...]
    folded: tuple[Found, ...]

    @property
    def more(self) -> str:
        """What is folded: `3 more claims: supported`."""
        words = Counter(it.word for it in self.folded)
        each = [word if len(words) == 1 else f"{n} {word}" for word, n in words.items()]
        return f"{counted(len(self.folded), 'more claim')}: {', '.join(each)}"


@dataclass(frozen=True)
class ClaimRow:
    """A row of a register as the page shows it."""

    id: str
    of_note: str  # id of its note
    entry: Entry
    found: tuple[FoundBy, ...]
    why: str  # why there is no verdict; "" where there is one
    takes: str  # what it would take where no suite tests it; "" elsewhere

    @property
    def note(self) -> str:
        return self.entry.row.note

    @property
    def says(self) -> str:
        return one_line(self.entry.row.says)

    @property
    def word(self) -> RowWord:
        return self.entry.word

    @property
    def symbol(self) -> str:
        return MARKS[self.word][0]

    @property
    def tone(self) -> str:
        return MARKS[self.word][1]

    @property
    def suites(self) -> tuple[str, ...]:
        """Names of the suites that judged it."""
        return tuple(it.suite for it in self.found)

    @property
    def screening(self) -> str:
        """Which of what was found may not be cited; "" where all may."""
        all_ = [(it.suite, one.screening) for it in self.found for one in (*it.shown, *it.folded)]
        names = list(dict.fromkeys(suite for suite, screening in all_ if screening))
        if not names:
            return ""
        return "screening" if all(it for _, it in all_) else f"{listed(names)}: screening"


@dataclass(frozen=True)
class Tally:
    """Rows that have something in common, under its name."""

    name: str
    rows: tuple[ClaimRow, ...]
    id: str = ""
    symbol: str = ""
    tone: str = ""


@dataclass(frozen=True)
class OfNote:
    """The rows of a note, without the definitions."""

    id: str
    letter: str
    note: Note
    rows: tuple[ClaimRow, ...]

    @property
    def title(self) -> str:
        return one_line(self.note.title)

    @property
    def link(self) -> str:
        """Where the note can be read, if that is a web page."""
        url = self.note.url or ""
        return url if url.startswith(("https://", "http://")) else ""

    @property
    def words(self) -> str:
        return _words(self.rows)


@dataclass(frozen=True)
class OfSuite:
    """The rows that a suite judges, and its newest study."""

    study: Study
    link: str  # to its page; "" where it has none
    rows: tuple[ClaimRow, ...]

    @property
    def run(self) -> str:
        """On what it was run, and when."""
        study = self.study
        trained = [it.data.title for it in study.comparisons if it.is_trained]
        parts = [
            listed(list(dict.fromkeys(map(one_line, trained)))) or "nothing is trained",
            f"{study.device}, {study.precision}",
            f"profile {one_line(study.profile)}",
            study.created[:10],
        ]
        return "; ".join(parts)

    @property
    def words(self) -> str:
        """How many rows have which verdict by this suite alone."""
        mine = [it.word for row in self.rows for it in row.found if it.suite == self.study.suite]
        return _counted(Counter(mine))


@dataclass(frozen=True)
class Contradicting:
    """Two sides that do not go together, and what the verdicts on both come to."""

    topic: str
    sides: tuple[tuple[tuple[ClaimRow | None, str], ...], ...]  # rows with what they say
    resolution: str | None  # None where there is no verdict on either side


@dataclass(frozen=True)
class Section:
    """A register."""

    title: str
    file: str
    rows: tuple[ClaimRow, ...]
    notes: tuple[OfNote, ...]
    suites: tuple[OfSuite, ...]
    contradictions: tuple[Contradicting, ...]
    table: Table

    @property
    def prefix(self) -> str:
        """What is before the ids of its parts."""
        return self.table.id.removeprefix("tbl-")

    @property
    def claims(self) -> tuple[ClaimRow, ...]:
        """The rows that are no definitions."""
        return tuple(row for row in self.rows if not row.entry.row.is_definition)

    @property
    def definitions(self) -> tuple[ClaimRow, ...]:
        return tuple(row for row in self.rows if row.entry.row.is_definition)

    @property
    def judged(self) -> tuple[ClaimRow, ...]:
        """The claims with a verdict."""
        return tuple(row for row in self.claims if row.found)

    @property
    def answer(self) -> str:
        """How many claims have which verdict, in a sentence or two."""
        claims, judged = self.claims, self.judged
        found = _words(judged)
        said = f"{len(judged)} of {counted(len(claims), 'claim')} have a verdict"
        said += f": {found}." if found else "."
        open_ = len(claims) - len(judged)
        return said + (f" {open_} have none yet." if open_ else "")

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """The claims by verdict."""
        return tuple(
            Tally(word, rows, f"{self.prefix}_{word.replace(' ', '_')}", *MARKS[word][:2])
            for word in MARKS
            if (rows := tuple(row for row in self.claims if row.word == word))
        )

    @property
    def reasons(self) -> tuple[ClaimRow, ...]:
        """The claims without a verdict for a reason of their own."""
        return tuple(row for row in self.claims if row.why and not row.takes)

    @property
    def waiting(self) -> tuple[Tally, ...]:
        """The claims that no suite tests, by what it would take."""
        return tuple(
            Tally(takes, rows)
            for takes in TAKES.values()
            if (rows := tuple(row for row in self.claims if row.takes == takes))
        )


@dataclass(frozen=True)
class Choices:
    """What a filter offers: values as the address keeps them, each with its name."""

    key: str
    name: str
    of: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClaimsPage:
    """All registers in use."""

    sections: tuple[Section, ...]
    wrong: tuple[str, ...]  # what is wrong with suites and registers that cannot be read

    @property
    def meanings(self) -> tuple[tuple[str, str, str, str], ...]:
        """Every word that a row has here, with symbol, tone and meaning."""
        there = {row.word for section in self.sections for row in section.rows}
        return tuple((word, *MARKS[word]) for word in MARKS if word in there)

    @property
    def filters(self) -> tuple[Choices, ...]:
        """The filters that the script offers: of what there is."""
        rows = [row for section in self.sections for row in section.rows]
        notes = [note for section in self.sections for note in section.notes]
        count = Counter(row.word for row in rows)
        suites = dict.fromkeys(name for row in rows for name in row.suites)
        kinds = {kind for row in rows for kind in row.entry.row.kinds}
        verdicts = [(it, f"{MARKS[it][0]} {it} ({number(count[it])})") for it in MARKS if count[it]]
        named = [(it.id, f"{it.letter}: {it.title}") for it in notes]
        needs = [(it, f"{it}: {KINDS[it].partition(':')[0]}") for it in KINDS if it in kinds]
        return (
            Choices("verdict", "Verdict", tuple(verdicts)),
            Choices("suite", "Suite", (*((it, it) for it in suites), ("none", "none: not judged"))),
            Choices("note", "Note", tuple(named)),
            Choices("kind", "Kind", tuple(needs)),
        )


def claims_page(
    noted: Sequence[Noted], judged: Mapping[str, Judged], pages: Iterable[str], wrong: Sequence[str]
) -> ClaimsPage:
    """Gather the page of all claims.

    Args:
        noted: the registers in use.
        judged: the newest study of each suite, by its name.
        pages: names of the suites that have a page to link to.
        wrong: what is wrong with suites and registers that cannot be read.
    """
    there = frozenset(pages)
    taken: list[str] = []
    sections = []
    for it in noted:
        name = ""
        if it.path != COURSE_FILE:
            name = re.sub("[^A-Za-z0-9]+", "-", it.path.stem).strip("-") or "notes"
            taken.append(name)
            name += f"-{taken.count(name)}" if taken.count(name) > 1 else ""
        sections.append(_section(it, name, judged, there))
    return ClaimsPage(tuple(sections), tuple(wrong))


def _section(
    noted: Noted, name: str, judged: Mapping[str, Judged], pages: frozenset[str]
) -> Section:
    known, prefix = noted.register, f"{name}-" if name else ""
    rows = tuple(_row(entry, prefix, judged, pages) for entry in noted.entries)
    by_note = {row.note: row for row in rows}

    def says(said: Said) -> tuple[ClaimRow | None, str]:
        return by_note.get(said.note or ""), one_line(said.says)

    return Section(
        title=one_line(known.title),
        file=noted.file,
        rows=rows,
        notes=tuple(
            OfNote(f"{prefix}{letter}", letter, note, tuple(
                row for row in rows
                if row.note.partition(":")[0] == letter and not row.entry.row.is_definition
            ))
            for letter, note in known.notes.items()
        ),
        suites=tuple(
            OfSuite(it.study, _page(suite, pages), mine)
            for suite, it in judged.items()
            if (mine := tuple(row for row in rows if suite in row.suites))
        ),
        contradictions=tuple(
            Contradicting(
                one_line(it.topic),
                tuple(tuple(map(says, side)) for side in it.sides),
                resolution(it, noted.entries),
            )
            for it in known.contradictions
        ),
        table=_table(noted, f"tbl-claims{'-' if name else ''}{name}", rows),
    )  # fmt: skip


def _row(
    entry: Entry, prefix: str, judged: Mapping[str, Judged], pages: frozenset[str]
) -> ClaimRow:
    why, takes = "", ""
    if entry.word in ("not yet tested", "cannot be tested"):
        why, takes = _why_not(entry, judged)
    found = tuple(_found_by(entry, of, pages) for of in by_suite(entry).values())
    letter, _, line = entry.row.note.partition(":")
    return ClaimRow(f"{prefix}{letter}-{line}", f"{prefix}{letter}", entry, found, why, takes)


def _found_by(entry: Entry, mine: Entry, pages: frozenset[str]) -> FoundBy:
    """Return what one suite found of a row: first what says its word best, each sentence once."""
    found: dict[str, Found] = {}
    for one in mine.cited:
        if one.verdict is not None and is_judged(one):
            found.setdefault(one.verdict.finding, _found(one, pages))
    each = list(found.values())
    best = [it for it in each if it.word == mine.word] or each
    shown = list({it.word: it for it in reversed(best)}.values())[::-1]  # the first of each word
    folded = [it for it in each if it not in shown]
    suite, differs = mine.cited[0].suite, mine.word != entry.word
    return FoundBy(suite, mine.word, differs, tuple(shown), tuple(folded))


def _found(one: Cited, pages: frozenset[str]) -> Found:
    verdict = one.verdict
    assert verdict is not None  # it is judged
    said, scope = _apart(verdict.finding)
    # What is trained is decided by the intervals of the results; the rest stands with the claims.
    trained = any(part.source == "trained" for part in verdict.parts)
    page, anchor = _page(one.suite, pages), one.table if trained else f"{one.table}-claims"
    return Found(
        place=f"{one.suite}, {one_line(verdict.comparison)}",
        link=f"{page}#{anchor}" if page and one.table else "",
        word=verdict.word,
        said=said,
        scope=scope,
        screening=bool(verdict.screening),
    )


def _page(suite: str, pages: frozenset[str]) -> str:
    return f"{suite}/index.html" if suite in pages else ""


def _apart(sentence: str) -> tuple[str, str]:
    """Return a sentence and the brackets in which it ends, which may hold others; "" for none."""
    if not sentence.endswith(")."):
        return sentence, ""
    depth = 0
    for at in range(len(sentence) - 2, 0, -1):
        depth += {")": 1, "(": -1}.get(sentence[at], 0)
        if depth == 0:
            return end(sentence[:at]), sentence[at:-1]
    return sentence, ""


def _why_not(entry: Entry, judged: Mapping[str, Judged]) -> tuple[str, str]:
    """Return why a row has no verdict, and what it would take where no suite tests it."""
    if entry.row.untestable is not None:
        return end(entry.row.untestable), ""
    said = []
    for one in entry.cited:
        if one.verdict is not None:
            said.append(f"{one.suite}: {_apart(one.verdict.finding)[0]}")
        elif one.suite in judged:
            profile = one_line(judged[one.suite].study.profile)
            said.append(f"{one.suite} asks it, but not in profile {profile}.")
        else:
            said.append(f"{one.suite} asks it and has not been run.")
    if said:
        return " ".join(dict.fromkeys(said)), ""
    takes = next(TAKES[kind] for kind in TAKES if kind in entry.row.kinds)
    return f"No suite tests it yet; it takes {takes}.", takes


def _words(rows: Iterable[ClaimRow]) -> str:
    return _counted(Counter(row.word for row in rows))


def _counted(found: Mapping[RowWord, int]) -> str:
    """Spell counts of words in their order: `61 supported, 6 refuted, 2 definitions`."""
    words = [word for word in MARKS if found.get(word) and word != "a definition"]
    told = [f"{number(found[word])} {word}" for word in words]
    if number_of := found.get("a definition", 0):
        told.append(counted(number_of, "definition"))
    return ", ".join(told)


def _table(noted: Noted, id: str, rows: Sequence[ClaimRow]) -> Table:
    """Return the rows as a table for its exports and its fingerprint."""
    heads = ("Line", "Claimed", "Verdict", "Found")
    return Table(
        id=id,
        number="Table 2" if id == "tbl-claims" else "Table",
        title=f"{one_line(noted.register.title)}: what became of each claim",
        notes=(
            "Every line of the notes that claims something, in their own words. A verdict is that "
            "of all suites that judge the line, by the newest study of each; where they differ, "
            "it depends. Kinds: "
            + "; ".join(f"{kind}, {meaning}" for kind, meaning in KINDS.items())
            + ".",
        ),
        columns=tuple(Column(name, numeric=False) for name in heads),
        fields=tuple(_values(noted, rows[0])),
        lines=tuple(
            Line(
                (
                    Cell(row.note, (f"row {row.entry.row.row}", " ".join(row.entry.row.kinds))),
                    Cell(f"“{row.says}”"),
                    Cell(f"{row.symbol} {row.word}", (row.screening,) if row.screening else ()),
                    Cell(" ".join(_sentences(row)) or row.why),
                ),
                _values(noted, row),
            )
            for row in rows
        ),
    )


def _sentences(row: ClaimRow) -> list[str]:
    return [f"{it.suite}: {one.said}" for it in row.found for one in (*it.shown, *it.folded)]


def _values(noted: Noted, row: ClaimRow) -> dict[str, str | int | None]:
    cited = [one for one in row.entry.cited if is_judged(one)]
    return {
        "register": noted.file,
        "row": row.entry.row.row,
        "line": row.note,
        "says": row.says,
        "kinds": " ".join(row.entry.row.kinds),
        "verdict": row.word,
        "suites": " ".join(row.suites) or None,
        "found": " ".join(_sentences(row)) or None,
        "why_not": row.why or None,
        "tables": " ".join(dict.fromkeys(one.table or "" for one in cited)) or None,
        "screening": row.screening or None,
        "study": " ".join(dict.fromkeys(one.study or "" for one in cited)) or None,
    }
