"""Citing: from the pages into somebody's notes, and back to today's numbers.

    published.py  what the pages of a suite offer to be cited
    formats.py    a table or figure as text to paste: Markdown, LaTeX, MyST, Quarto, BibTeX, …
    texts.py      files of notes as texts: Markdown, LaTeX, MyST, Quarto, BibTeX, notebooks
    verify.py     do numbers that were cited still hold?
    grids.py      tables that stand in a text, and what differs between two
    blocks.py     marked blocks in notes, refreshed where they stand
    freeze.py     an archive of a suite that can be deposited

All of it reads the rendered pages in `reports/`, never the records: what is cited is what is shown,
and notes can be checked where the pages are and the records are not. Only an archive holds both.
"""
