"""From evidence to pages: static files that need no server, no script and no network.

    render.py      writes the pages and their exports
    kept.py        what an earlier page can be kept of
    pages.py       the files of the pages
    suite_page.py  everything that one suite's page shows
    index_page.py  the table of all suites
    claims_page.py  every claim of the notes, with what suites found of it
    comparable.py  what of several suites must not be compared
    comparison.py  what one comparison's tables and captions say
    saving.py      what variants save for the same result: tables and curves
    measures.py    the table of what trials measured beside the comparison's metric
    latency.py     the table of how long the networks take
    memory.py      the table of how much memory they need
    tuning.py      the table of what tuning tried out and chose
    claims.py      the tables of claims and requirements
    sweeps.py      the table of what claims sweep
    sweep_figure.py  … and their figure
    footnotes.py   long reasons of a table's figures as notes of its caption
    tables.py      one definition of a table → HTML, CSV, Markdown, LaTeX
    figures.py     the figures, in colours for the page and for notes
    pictures.py    what networks make of test images, and the spectra of their errors
    fields.py      what the centre of an output hangs on, before and after training
    pareto.py      the figure of what the metric costs
    ecdf.py        the figure of how long calls took
    inline_svg.py  a figure's SVG made fit to stand in a page
    lean_svg.py    what does not show, taken out of it
    summary.py     the first lines of a suite's page
    fingerprint.py what stands for the data of a table or figure
    cite.py        ready text to link, include and cite a table or figure
    templates/     what the pages look like

A page is a function of one study and its records: the same input gives the same bytes.
"""
