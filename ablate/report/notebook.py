"""Tables and figures of a page as HTML that stands alone: in a cell of a notebook.

The markup is the page's; the style is one of its own that takes its colours from the notebook,
whichever scheme that has, and leaves all else in the notebook as it is.
"""

import re
from collections.abc import Sequence

from ablate.report.figures import Figure
from ablate.report.pages import fragment
from ablate.report.tables import Table

_LINK = re.compile('<a href="#[^"]*">(.*?)</a>')


def html(
    title: str,
    lines: Sequence[str] = (),
    parts: Sequence[Table | Figure] = (),
    reasons: Sequence[str] = (),
    claims: Sequence[str] = (),
) -> str:
    """Return one piece of HTML that needs no script and asks for nothing.

    Args:
        title: a heading; "" for none.
        lines: sentences below it.
        parts: tables and figures, in order.
        reasons: why the numbers may not be cited.
        claims: a line for every claim, folded.
    """
    shown = [(part, isinstance(part, Table)) for part in parts]
    text = fragment(
        "notebook.html.j2", title=title, lines=lines, parts=shown, reasons=reasons, claims=claims
    )
    # Quotes of all that comes from a suite are escaped, so these are links of the page's markup to
    # places of the page, which a notebook has not.
    return _LINK.sub(r"\1", text)
