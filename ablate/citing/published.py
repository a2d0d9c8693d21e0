"""What the page of a suite offers to be cited: tables and figures as `manifest.json` has them."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ablate import catalog
from ablate.study import Study
from ablate.suite.source import Problem, SuiteError


@dataclass(frozen=True)
class Item:
    """A table or a figure of a page. It has what `report.cite` needs to know of one."""

    study: Study
    folder: Path  # of the page
    id: str
    number: str  # "Table s7.1"
    title: str
    fingerprint: str
    screening: tuple[str, ...]  # why it may not be cited, or not all of it; () if it may
    caption: str  # of a figure; a table's stands in its exports
    values: str  # id of the table with a figure's values; "" for a table

    @property
    def full_title(self) -> str:
        return self.title

    @property
    def is_table(self) -> bool:
        return not self.values

    def export(self, kind: str) -> str:
        """Return the text of its file of a kind: csv, md, tex, svg.

        Raises:
            SuiteError: there is no such file.
        """
        path = self.folder / f"{self.id}.{kind}"
        try:
            return path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            message = f"{path} is not there or damaged; `ablate report {self.study.suite}` writes"
            if not self.is_table and not isinstance(error, UnicodeDecodeError):
                message = f"{path} is not there: figures have no files while trials are missing;"
                message += f" `ablate run {self.study.suite}` goes on, and writes"
            raise SuiteError("", "", [Problem(self.id, f"{message} it")]) from error


def suites(reports: Path) -> list[str]:
    """Return the names of the suites that have a page, sorted."""
    return sorted(path.parent.name for path in reports.glob("*/manifest.json"))


def items(reports: Path, suite: str) -> dict[str, Item]:
    """Return what can be cited of a suite, by id, in the order of its page.

    Raises:
        SuiteError: the suite has no page, or one of an older version of ablate.
    """
    folder = reports / suite
    try:
        stored = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = suites(reports)
        hint = f"; {catalog.suggest(suite, known)}" if known else ""
        message = f"there is no page of {suite!r} under {reports}; `ablate report` writes it{hint}"
        raise SuiteError("", "", [Problem("cite", message)]) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(folder, suite) from error
    try:
        study = Study.model_validate(stored["study"])
        found = [
            Item(
                study,
                folder,
                id,
                number=str(told["number"]),
                title=str(told["title"]),
                fingerprint=str(told["data"]),
                screening=tuple(map(str, told["screening"])),
                caption=str(told.get("caption", "")),
                values=str(told.get("table", "")),
            )
            for kind in ("tables", "figures")
            for id, told in stored[kind].items()
        ]
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise _unusable(folder, suite) from error
    return {item.id: item for item in sorted(found, key=_place)}


def find(known: Mapping[str, Item], id: str) -> Item:
    """Return what has an id.

    Raises:
        SuiteError: nothing has it; the message names the nearest ones.
    """
    if id not in known:
        raise SuiteError("", "", [Problem("cite", unknown(known, id))])
    return known[id]


def unknown(known: Iterable[str], id: str) -> str:
    """Say that nothing has an id, and what has one like it."""
    near = difflib.get_close_matches(id, list(known), n=3)
    if not near:
        return f"there is no {id!r} on the page; without an id, `ablate cite` lists all there are"
    return f"there is no {id!r} on the page; did you mean {' or '.join(map(repr, near))}?"


def suite_of(id: str, known: Iterable[str]) -> str | None:
    """Return which suite an id is of, None if of none: `tbl-s7-depthwise` is of s7."""
    rest = id.partition("-")[2]
    of = [suite for suite in known if rest.startswith(f"{suite}-")]
    return max(of, key=len, default=None)  # a suite's name may begin with another one's


def listing(known: Mapping[str, Item]) -> Iterator[str]:
    """Yield a line for all that can be cited: id, fingerprint, whether it may be, title."""
    wide = max((len(id) for id in known), default=0)
    for item in known.values():
        standing = "screening" if item.screening else "citable"
        yield f"{item.id:<{wide}}  {item.fingerprint}  {standing:<9}  {item.number}. {item.title}"


def _place(item: Item) -> tuple[bool, int]:
    number = item.number.rpartition(".")[2]
    return not item.is_table, int(number) if number.isdecimal() else 0


def _unusable(folder: Path, suite: str) -> SuiteError:
    message = "damaged, or written by another version of ablate; "
    message += f"`ablate report {suite}` writes it anew"
    return SuiteError("", "", [Problem(str(folder / "manifest.json"), message)])
