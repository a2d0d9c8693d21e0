"""Files of notes as texts: one of most files, one a cell of a notebook.

Markdown, LaTeX, MyST, Quarto and BibTeX are text, and so are a notebook's cells, but for code. A
file is written back with all that was not changed as it was, to the byte, or not at all.
"""

import json
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate import records
from ablate.suite.source import Problem, SuiteError

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(frozen=True)
class Notes:
    """One file: its texts, and how messages call each."""

    path: Path
    whole: str
    texts: tuple[str, ...]
    names: tuple[str, ...]  # `notes.md`, or `notes.ipynb cell 3`

    def with_texts(self, texts: Sequence[str]) -> str:
        """Return the content of the file with other texts."""
        if self.path.suffix != ".ipynb":
            return texts[0]
        notebook = json.loads(self.whole)
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] != "code"]
        for cell, text in zip(cells, texts, strict=True):
            as_lines = isinstance(cell["source"], list)
            cell["source"] = lines(text) if as_lines else text
        return _dumped(notebook, self.whole)


def lines(text: str) -> list[str]:
    """Split a text into lines that keep their ends, whichever these are."""
    return _LINE.findall(text)


def read(path: Path) -> Notes:
    """Read a file of notes.

    Raises:
        SuiteError: it cannot be read, is not UTF-8, or is no notebook though its name says so.
    """
    if path.is_dir():
        raise _refused(path, "is a folder; name the files in it")
    try:
        whole = path.read_bytes().decode()
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _refused(path, "is not UTF-8 text; save it as UTF-8") from error
    if path.suffix != ".ipynb":
        return Notes(path, whole, (whole,), (str(path),))
    try:
        found = [
            (number, cell["source"])
            for number, cell in enumerate(json.loads(whole)["cells"], 1)
            if cell["cell_type"] != "code"
        ]
        texts = tuple(source if isinstance(source, str) else "".join(source) for _, source in found)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(path, "is no notebook of version 4; save it anew in Jupyter") from error
    return Notes(path, whole, texts, tuple(f"{path} cell {number}" for number, _ in found))


def as_written(notes: Notes) -> bool:
    """Whether a file comes back as it is when nothing is changed.

    It always does but for a notebook whose JSON is laid out as no notebook's is.
    """
    return notes.with_texts(notes.texts) == notes.whole


def replace(path: Path, content: str) -> None:
    """Write a file's new content whole or not at all; what links to it still does.

    Raises:
        NoRoom: the disk is full; the file is as it was.
        SuiteError: the file cannot be written.
    """
    path = path.resolve()
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(content.encode())
        shutil.copymode(path, partial)
        os.replace(partial, path)
    except BaseException as error:  # Ctrl-C too: nothing half written is left
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            if full := records.no_room(error, path):
                raise full from error
            raise _refused(path, f"cannot be written: {error.strerror}") from error
        raise


def _dumped(notebook: Any, like: str) -> str:
    """Spell a notebook as its file does; Jupyter indents by 1, others by 2 or 4, or not at all."""
    end = "\n" if like.endswith("\n") else ""
    first = re.search(r"\n( *)\S", like)
    indent = len(first[1]) if first else None
    ascii_only = like.isascii()
    return json.dumps(notebook, indent=indent, ensure_ascii=ascii_only and "\\u" in like) + end


def _refused(path: Path, message: str) -> SuiteError:
    return SuiteError("", "", [Problem(str(path), message)])
