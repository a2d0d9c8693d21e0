"""The example notebook, run from its first cell to its last on records of a small suite.

Its cells run in a Python of their own, and what a cell ends with is shown as Jupyter shows it: by
its own HTML where it has some. A kernel would be nearer to what users have, and takes 100 MB.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import tiny

import ablate

ROOT = Path(ablate.__file__).parent.parent
NOTEBOOK = ROOT / "reports" / "example.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

# Runs the cells that are given as JSON, and prints as JSON what each of them shows.
SHOW = """
import ast, json, sys

cells, shown, names = json.load(sys.stdin), [], {"__name__": "__main__"}
for number, source in enumerate(cells):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), names)
    found = {}
    if last is not None:
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
        found["text/plain"] = repr(value)
        if hasattr(value, "_repr_html_"):
            found["text/html"] = value._repr_html_()
    shown.append(found)
json.dump(shown, sys.stdout)
"""


def test_there_are_no_outputs_in_the_file() -> None:
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert len({cell["id"] for cell in CELLS}) == len(CELLS)


def test_the_notebook_runs(here: Path) -> None:
    from ablate import commands

    suite = tiny.changed(
        ("id: tiny", "id: s7"),
        ("- id: conv", "- id: depthwise"),
        ("dilated: {network.conv: dilated}", "depthwise: {network.conv: depthwise_separable}"),
        ("epochs: 1", "epochs: 2"),
        add="    claims: [{note: A:1, says: as good, kind: order, metric: accuracy, "
        "expect: depthwise < normal, margin: 0.5}]\n",
    )
    asked = commands.request(str(tiny.write(suite, "s7.yaml")), "full", None, None, ())
    done = commands.run(asked, "cpu", Path("runs"), Path("reports"), "1", None, False)
    assert done == 0
    shutil.copy(NOTEBOOK, "reports")
    done_by = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHOW],
        cwd="reports",
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=json.dumps(["".join(c["source"]) for c in CELLS if c["cell_type"] == "code"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done_by.returncode, done_by.stderr) == (0, "")
    ids = [cell["id"] for cell in CELLS if cell["cell_type"] == "code"]
    shown = dict(zip(ids, json.loads(done_by.stdout), strict=True))
    assert "Does the kind of convolution matter?" in shown["load"]["text/html"]
    assert shown["depthwise"]["text/html"].count("<svg") == 1
    assert 'id="tbl-s7-depthwise"' in shown["depthwise"]["text/html"]
    table = Path("reports/s7/tbl-s7-depthwise.csv").read_text().splitlines()
    assert shown["differences"]["text/html"].count("<tr") == len(table)
    assert "as good" in shown["verdicts"]["text/html"]
    assert "<td>" in shown["seeds"]["text/html"]
    assert "<td>" in shown["spread"]["text/html"]
    assert shown["figure"]["text/html"].count("<svg") == 2
    saved = Path("reports/depthwise.svg").read_bytes()
    assert saved == Path("reports/s7/fig-s7-depthwise-forest.svg").read_bytes()
