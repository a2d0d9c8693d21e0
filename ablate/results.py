"""What suites found, for Python and notebooks.

`ablate.load("s7")` gives the numbers as data frames, and whatever a page has an id for as something
that shows itself: in a notebook the table or the figure of the page, elsewhere its text. Nothing is
trained, and neither torch nor the rendered pages are needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablate import catalog
from ablate import study as studies
from ablate.evidence import frame, frames
from ablate.evidence.answer import Answer, answers
from ablate.evidence.collect import Evidence, collect
from ablate.evidence.spelling import one_line
from ablate.evidence.verdicts import judge, short_lines

if TYPE_CHECKING:
    import pandas

    from ablate.report import figures, suite_page, tables
    from ablate.report.figures import Drawn


class NothingFound(studies.StudyError, KeyError):
    """What was asked for is not there; the message says what there is."""

    def __str__(self) -> str:  # that of KeyError has quotes around it
        return str(self.args[0])


def load(suite: str | None = None, runs: Path | str = "runs") -> "Results":
    """Return what the newest study of a suite found; by default, of all suites.

    Args:
        suite: id of the suite, e.g. "s7".
        runs: the folder of all records.

    Raises:
        NothingFound: there is no such study; the message names those there are.
        StudyError: it cannot be read.
    """
    runs = Path(runs)
    known = studies.suites(runs)
    if not known:
        raise NothingFound(
            f"there are no studies under {runs.resolve()}; `ablate run` makes them, and "
            'load(…, runs="FOLDER") reads those of another folder'
        )
    if suite is not None and suite not in known:
        raise NothingFound(
            f"there is no study of {suite!r} under {runs.resolve()}; "
            f"{catalog.suggest(suite, known)}"
        )
    newest = [studies.newest(runs, name) for name in ([suite] if suite else known)]
    return Results(collect(runs, found) for found in newest if found is not None)


class Results:
    """The studies of one suite or several, and everything that their records hold.

    Data frames, whose columns `columns` describes:
        comparisons  a line for every row of a comparison: mean, difference, interval, effect
        verdicts     a line for every claim, or for each match and setting it was judged at
        trials       a line for every trial that was asked for, whatever became of it
        scores       what a trial scored in the end, in all metrics
        epochs       what a trial showed after each epoch
        readings     what was measured of a trial's weights
        facts        parameters, MACs, receptive fields, … of every network
        passes       times and peaks of memory, by process
        numbers      most of that in one tidy table: `ablate.evidence.frame` describes it

    `results["depthwise"]` is a comparison, `results["tbl-s7-depthwise"]` a table and
    `results["fig-s7-depthwise-forest"]` a figure of the pages; `ids` lists all of them. Where two
    suites have a comparison of the same id, it is `results["s7/depthwise"]`.
    """

    def __init__(self, found: Iterator[Evidence] | Sequence[Evidence]) -> None:
        self.evidence = tuple(found)

    @property
    def suites(self) -> tuple[str, ...]:
        """The ids of the suites."""
        return tuple(found.study.suite for found in self.evidence)

    @property
    def columns(self) -> "pandas.DataFrame":
        """What every column of every data frame holds: its type, unit and meaning."""
        return frames.columns()

    @cached_property
    def comparisons(self) -> "pandas.DataFrame":
        return self._frame("comparisons")

    @cached_property
    def verdicts(self) -> "pandas.DataFrame":
        return self._frame("verdicts")

    @cached_property
    def trials(self) -> "pandas.DataFrame":
        return self._frame("trials")

    @cached_property
    def passes(self) -> "pandas.DataFrame":
        return self._frame("passes")

    @property
    def scores(self) -> "pandas.DataFrame":
        return self._parts["scores"]

    @property
    def epochs(self) -> "pandas.DataFrame":
        return self._parts["epochs"]

    @property
    def readings(self) -> "pandas.DataFrame":
        return self._parts["readings"]

    @property
    def facts(self) -> "pandas.DataFrame":
        return self._parts["facts"]

    @cached_property
    def numbers(self) -> "pandas.DataFrame":
        import pandas

        return pandas.concat(map(frame.frame, self.evidence), ignore_index=True)

    @cached_property
    def _parts(self) -> dict[str, "pandas.DataFrame"]:
        return frames.of_numbers(self.numbers)

    def _frame(self, name: str) -> "pandas.DataFrame":
        lines = getattr(frames, name)
        return frames.frame(name, [line for found in self.evidence for line in lines(found)])

    @cached_property
    def _shown(self) -> dict[str, "Comparison | Table | Figure"]:
        """Everything that has an id, by it."""
        pages = [(found, _undrawn(found)) for found in self.evidence]
        sections = [Comparison(found, it) for found, page in pages for it in page.sections]
        ids = [section.id for section in sections]
        shown: dict[str, Comparison | Table | Figure] = {
            section.id if ids.count(section.id) == 1 else f"{section.suite}/{section.id}": section
            for section in sections
        }
        shown |= {table.id: Table(table) for _, page in pages for table in page.tables}
        return shown | {figure.id: figure for one in sections for figure in one.figures}

    @property
    def ids(self) -> tuple[str, ...]:
        """What can be asked for by `results[id]`: comparisons, then tables, then figures."""
        return tuple(self._shown)

    def __getitem__(self, id: str) -> "Comparison | Table | Figure":
        if id not in self._shown:
            hint = catalog.suggest(id, self.ids)
            raise NothingFound(f"there is no {id!r} in {', '.join(self.suites)}; {hint}")
        return self._shown[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.ids)

    def _repr_html_(self) -> str:
        from ablate.report.notebook import html

        return "".join(
            html(
                one_line(found.study.title),
                (one_line(found.study.question), *_said(found)),
                claims=short_lines(judge(found)),
            )
            for found in self.evidence
        )

    def __repr__(self) -> str:
        return "\n\n".join(
            "\n".join(
                [
                    f"{found.study.suite}: {one_line(found.study.title)}",
                    one_line(found.study.question),
                    *_said(found),
                ]
            )
            for found in self.evidence
        )


class Comparison:
    """One comparison: its answer, its numbers, and the tables and figures of its page."""

    def __init__(self, evidence: Evidence, section: "suite_page.Section") -> None:
        self._evidence, self._section = evidence, section
        self.suite = evidence.study.suite
        self.id = section.comparison.asked.id
        self.title = one_line(section.comparison.asked.title)

    @property
    def answer(self) -> tuple[str, ...]:
        """What came out: a sentence for every variant, and what the sentences hold for."""
        return tuple(_sentences(self._section.answer))

    @property
    def rows(self) -> "pandas.DataFrame":
        """Its lines of `Results.comparisons`."""
        return self._frame("comparisons")

    @property
    def trials(self) -> "pandas.DataFrame":
        """Its lines of `Results.trials`."""
        return self._frame("trials")

    @property
    def verdicts(self) -> "pandas.DataFrame":
        """Its lines of `Results.verdicts`."""
        return self._frame("verdicts")

    @property
    def table(self) -> "Table":
        """The table of its results."""
        return Table(self._section.results)

    @property
    def tables(self) -> tuple["Table", ...]:
        """All its tables, that of its results first."""
        return tuple(map(Table, self._section.tables))

    @cached_property
    def figures(self) -> tuple["Figure", ...]:
        """All its figures; one is drawn when it is shown."""
        return tuple(Figure(self._evidence, self.id, it) for it in self._section.figures)

    @property
    def forest(self) -> "Figure | None":
        """Its differences with their intervals and seeds; None where nothing is trained."""
        return next((it for it in self.figures if it.id.endswith("-forest")), None)

    def _frame(self, name: str) -> "pandas.DataFrame":
        lines = getattr(frames, name)(self._evidence)
        return frames.frame(name, [line for line in lines if line["comparison"] == self.id])

    def _repr_html_(self) -> str:
        from ablate.report.notebook import html

        results = self._section.results
        forest = [self.forest.drawn] if self.forest else []
        return html(self.title, self.answer, [results, *forest], results.screening)

    def __repr__(self) -> str:
        return "\n".join([f"{self.suite}/{self.id}: {self.title}", *self.answer])


@dataclass(frozen=True, repr=False)
class Table:
    """A table of a page."""

    table: "tables.Table"

    @property
    def id(self) -> str:
        """Its permanent id."""
        return self.table.id

    @property
    def caption(self) -> str:
        """Its caption, with the fingerprint of its numbers."""
        return self.table.caption

    @cached_property
    def frame(self) -> "pandas.DataFrame":
        """Its numbers: the columns of its CSV, one number each."""
        import pandas

        lines = [line.values for line in self.table.lines]
        return pandas.DataFrame(lines, columns=list(self.table.fields))

    def _repr_html_(self) -> str:
        from ablate.report.notebook import html

        return html("", parts=[self.table], reasons=self.table.screening)

    def __repr__(self) -> str:
        from ablate.report.tables import to_markdown

        return to_markdown(self.table).rstrip()


class Figure:
    """A figure of a page. It is drawn when it is first shown or saved."""

    def __init__(self, evidence: Evidence, comparison: str, figure: "figures.Figure") -> None:
        self._evidence, self._comparison, self._figure = evidence, comparison, figure
        self.id = figure.id

    @property
    def caption(self) -> str:
        """Its caption."""
        return " ".join([self._figure.heading, *self._figure.notes])

    @cached_property
    def drawn(self) -> "figures.Figure":
        """The figure as the page has it, with its pictures and files."""
        from ablate.report.suite_page import page

        alone = tuple(it for it in self._evidence.comparisons if it.asked.id == self._comparison)
        of_page = page(replace(self._evidence, comparisons=alone), _Undrawn(but=self.id))
        (found,) = (it for it in of_page.figures if it.id == self.id)
        # Its number is that on the page of the whole suite.
        return replace(found, number=self._figure.number)

    def save(self, path: Path | str) -> Path:
        """Write the figure as a file and return its path.

        Args:
            path: whose suffix says which kind: .svg, .pdf or .png.

        Raises:
            NothingFound: there is no such file of the figure: another suffix, or trials it shows
                are missing.
        """
        path = Path(path)
        files = self.drawn.files
        kind = path.suffix.removeprefix(".")
        if kind not in files:
            why = self.drawn.lacking if not self.drawn.pictures else "trials of it are missing"
            there = f"there are: {', '.join(files)}" if files else f"there is none yet: {why}"
            raise NothingFound(f"{self.id} has no file of the kind {path.suffix!r}; {there}")
        path.write_bytes(files[kind])
        return path

    def _repr_html_(self) -> str:
        from ablate.report.notebook import html

        return html("", parts=[self.drawn])

    def __repr__(self) -> str:
        return f"{self.id}: {self.caption}"


class _Undrawn(dict[str, "Drawn"]):
    """Figures that need not be drawn again: all but one, which are empty."""

    def __init__(self, but: str = "") -> None:
        self.but = but

    def get(self, id: str, default: Any = None) -> Any:
        """Return an empty drawing, for the one that is to be drawn None."""
        from ablate.report.figures import Drawn

        return default if id == self.but else Drawn()


def _undrawn(evidence: Evidence) -> "suite_page.Page":
    """Return a suite's page with every table, and with figures that are not drawn."""
    from ablate.report.suite_page import page

    return page(evidence, _Undrawn())


def _said(evidence: Evidence) -> list[str]:
    """Return the sentences of all comparisons, each with the name of its comparison."""
    found = answers(evidence)
    return [f"{answer.comparison.asked.id}: {' '.join(_sentences(answer))}" for answer in found]


def _sentences(answer: Answer) -> list[str]:
    return [*answer.findings, answer.scope]
