# ruff: noqa: E501  (messages are held verbatim, as long as they are)
"""What is said of a mistake, word for word: where it is, what is wrong and what to do instead.

One suite for each kind of mistake, made of the sound one in `tiny.py` by a change. In an expected
text, HERE stands for the working directory.
"""

import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tiny import SUITE, changed, checked, without, write

from ablate import catalog, commands
from ablate.suite.load import available, load
from ablate.suite.request import Request
from ablate.suite.source import MOST_SHOWN, Problem, SuiteError

# Every kind of mistake that a suite or a command line is told of. A case below is named by its
# kind, or by the kind and, in parentheses, what is special about it.
KINDS = """
not UTF-8
empty file
not a mapping
two documents
nested too deep
duplicate key
YAML tag
anchor
alias
syntax error
bracket inside braces
unknown key
missing key
wrong type
out of range
unknown block
unknown option
id with a slash
id with dots
id with an underscore
id is not the file name
comparison id twice
variant name
unknown baseline
one variant only
unknown named variant
no-op by configuration
no-op by network
unknown path
malformed path
path index out of range
wrong root of a path
impossible shape
other test images
seed twice in a list
negative seed
wrong form of seeds
incomplete until
unknown variant in seeds
compared with an unknown variant
compared with itself
baseline compared with another
unknown variant of a profile
reference left out
unknown kind of layer
unknown data set
unknown fallback
missing folder
too many validation images
unknown kind of claim
claim about an unknown variant
claim about an unknown metric
claim about a match that is not made
claim over an unknown path
negative margin
claim without a key
malformed relation
malformed ratio
malformed range
malformed note reference
unknown match
match twice
match tolerance
unreachable budget
unknown metric
requirement on an unknown variant
requirement on an unknown metric
requirement without a bound
profile with an unknown comparison
profile with an unknown path
profile of a comparison that is unknown
plugin missing
plugin without ROOM
plugin with an unknown ROOM
plugin with a taken name
plugin with a syntax error
plugin that cannot be imported
plugin without a builder
plugin with an option without a type
plugin that fails to build
unknown profile
unknown data set on the command line
folder without a path
path for a data set that takes none
malformed override
unknown override key
wrong override value
override twice
seeds twice
doubled seed
malformed seeds
unknown suite
device that is not there
bad number of jobs
unknown executor
unknown comparison to show
unknown variant to show
""".strip().splitlines()


class Case(NamedTuple):
    """A suite file, what is said of it, and what was asked of it with which files beside it."""

    suite: str | bytes
    expected: str
    request: Mapping[str, Any] = {}
    files: Mapping[str, str] = {}


def claim(text: str, *, note: str = "A:1") -> str:
    """Return the suite with a claim."""
    return changed(add=f"    claims:\n      - {{note: '{note}', says: so, {text}}}\n")


def verbatim(expected: str) -> str:
    """Return an expected text as it is written: without its indentation."""
    return textwrap.dedent(expected).strip("\n").replace("HERE", str(Path.cwd().resolve()))


CASES = {
    # the file as such
    "not UTF-8": Case(
        changed(("A tiny", "A t\xefny")).encode("latin-1"),
        """
        tiny.yaml: line 2 is not UTF-8 text; save the file as UTF-8
        """,
    ),
    "empty file": Case(
        "",
        """
        tiny.yaml: is empty; a suite needs id, title, question, base and comparisons
        """,
    ),
    "empty file (comments only)": Case(
        "# nothing yet\n",
        """
        tiny.yaml: is empty; a suite needs id, title, question, base and comparisons
        """,
    ),
    "not a mapping": Case(
        "- a\n- b\n",
        """
        tiny.yaml:1:1: a suite is a mapping: id, title, question, base, comparisons, …
          1 | - a
            | ^
        """,
    ),
    "not a mapping (a text)": Case(
        "tiny\n",
        """
        tiny.yaml:1:1: a suite is a mapping: id, title, question, base, comparisons, …
          1 | tiny
            | ^
        """,
    ),
    "two documents": Case(
        changed(add="---\nid: other\n"),
        """
        tiny.yaml:17:1: one file holds one suite; remove what follows `---`
          17 | ---
             | ^
        """,
    ),
    "nested too deep": Case(
        changed(("seeds: 2", "seeds: " + "[" * 41 + "]" * 41)),
        """
        tiny.yaml:9:47: nested more than 40 levels deep; no suite is
          9 | seeds: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
            |                                               ^
        """,
    ),
    "nested too deep (cut to fit)": Case(
        changed(("seeds: 2", "seeds: " + "[" * 300)),
        """
        tiny.yaml:9:47: nested more than 40 levels deep; no suite is
          9 | seeds: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
            |                                               ^
        """,
    ),
    "duplicate key": Case(
        changed(("seeds: 2", "seeds: 2\nseeds: 3")),
        """
        tiny.yaml:10:1: duplicate key 'seeds', which stands in line 9 already; remove one of the two
          10 | seeds: 3
             | ^
        """,
    ),
    "duplicate key (variant)": Case(
        changed(("normal: {}", "normal: {}\n      normal: {network.act: silu}")),
        """
        tiny.yaml:16:7: duplicate key 'normal', which stands in line 15 already; remove one of the two
          16 |       normal: {network.act: silu}
             |       ^
        """,
    ),
    "YAML tag": Case(
        changed(("seeds: 2", "seeds: !!int 2")),
        """
        tiny.yaml:9:8: YAML tags (!name) are refused; write the value alone
          9 | seeds: !!int 2
            |        ^
        """,
    ),
    "YAML tag (that would run code)": Case(
        changed(("seeds: 2", "seeds: !!python/object/apply:os.system [ls]")),
        """
        tiny.yaml:9:8: YAML tags (!name) are refused; write the value alone
          9 | seeds: !!python/object/apply:os.system [ls]
            |        ^
        """,
    ),
    "anchor": Case(
        changed(("seeds: 2", "seeds: &two 2")),
        """
        tiny.yaml:9:8: anchors (&name) are refused; write the value alone
          9 | seeds: &two 2
            |        ^
        """,
    ),
    "alias": Case(
        changed(("{network.conv: dilated}", "*wide")),
        """
        tiny.yaml:16:16: aliases (*name) are refused; write the value out, or name a variant once under `variants:`
          16 |       dilated: *wide
             |                ^
        """,
    ),
    "syntax error (bracket)": Case(
        changed(("seeds: 2", "seeds: [2")),
        """
        tiny.yaml:10:12: not valid YAML: expected ',' or ']', but got ':'; is the [ of line 9 closed?
          10 | comparisons:
             |            ^
        """,
    ),
    "syntax error (comma)": Case(
        changed(("epochs: 1, batch", "epochs: 1 batch")),
        """
        tiny.yaml:8:32: not valid YAML: expected ',' or '}', but got ':'
          8 |   recipe: {epochs: 1 batch_size: 4}
            |                                ^
        """,
    ),
    "syntax error (quote)": Case(
        changed(("title: A tiny suite", "title: 'A tiny suite")),
        """
        tiny.yaml:2:8: not valid YAML: found unexpected end of stream; the quote that opens here is not closed
          2 | title: 'A tiny suite
            |        ^
        """,
    ),
    "syntax error (colon)": Case(
        changed(("title: A tiny suite", "title: A tiny: suite")),
        """
        tiny.yaml:2:14: not valid YAML: mapping values are not allowed here; a text that holds ': ' needs quotes; or is the line indented too far?
          2 | title: A tiny: suite
            |              ^
        """,
    ),
    "syntax error (no space after the colon)": Case(
        changed(("question: Does", "question:Does")),
        """
        tiny.yaml:3:1: not valid YAML: could not find expected ':'; a key needs a colon and a space after it
          3 | question:Does the kind of convolution matter?
            | ^
        """,
    ),
    "syntax error (indentation)": Case(
        changed(("    baseline: normal", "   baseline: normal")),
        """
        tiny.yaml:13:4: not valid YAML: expected <block end>, but found '<block mapping start>'; does the indentation fit the lines above?
          13 |    baseline: normal
             |    ^
        """,
    ),
    "syntax error (tab)": Case(
        changed(("    baseline: normal", "\tbaseline: normal")),
        """
        tiny.yaml:13:1: not valid YAML: found character '\\t' that cannot start any token; indent with spaces, not with tabs
          13 | 	baseline: normal
             | ^
        """,
    ),
    "syntax error (first character)": Case(
        changed(("title: A tiny suite", "title: @tiny")),
        """
        tiny.yaml:2:8: not valid YAML: found character '@' that cannot start any token; a text that begins like this needs quotes
          2 | title: @tiny
            |        ^
        """,
    ),
    "syntax error (control character)": Case(
        changed(("A tiny suite", "A tiny \x07suite")),
        """
        tiny.yaml:2:15: not valid YAML: the character U+0007; remove it
          2 | title: A tiny \x07suite
            |               ^
        """,
    ),
    "bracket inside braces": Case(
        changed(("network.conv", "network.stages[1].conv")),
        """
        tiny.yaml:16:31: not valid YAML: expected ',' or '}', but got '['; inside { } a path that holds [ ] needs quotes, or write it without: stages.2
          16 |       dilated: {network.stages[1].conv: dilated}
             |                               ^
        """,
    ),
    # keys and values
    "unknown key": Case(
        changed(("title: A tiny", "titel: A tiny")),
        """
        tiny.yaml:2:1: unknown key 'titel'; did you mean 'title'?
          2 | titel: A tiny suite
            | ^
        """,
    ),
    "unknown key (of a comparison)": Case(
        changed(("    baseline", "    baselin")),
        """
        tiny.yaml:13:5: unknown key 'baselin'; did you mean 'baseline'?
          13 |     baselin: normal
             |     ^
        """,
    ),
    "unknown key (of the recipe)": Case(
        changed(("epochs: 1", "epoch: 1")),
        """
        tiny.yaml:8:12: unknown key 'epoch'; did you mean 'epochs'?
          8 |   recipe: {epoch: 1, batch_size: 4}
            |            ^
        """,
    ),
    "unknown key (of the network)": Case(
        changed(("stages:", "stage:")),
        """
        tiny.yaml:7:29: network family 'staged' has no option 'stage'; did you mean 'stages'?
          7 |   network: {family: staged, stage: [[4], [8]]}
            |                             ^
        """,
    ),
    "unknown key (of a stage)": Case(
        changed(("[[4], [8]]", "[[4], {layers: [8], cnv: dilated}]")),
        """
        tiny.yaml:7:57: a stage has no 'cnv'; did you mean 'conv'?
          7 |   network: {family: staged, stages: [[4], {layers: [8], cnv: dilated}]}
            |                                                         ^
        """,
    ),
    "unknown key (after wide characters)": Case(
        changed(add="source: {note: 漢字, titel: x}\n"),
        """
        tiny.yaml:17:20: unknown key 'titel'; did you mean 'title'?
          17 | source: {note: 漢字, titel: x}
             |                      ^
        """,
    ),
    "unknown key (after a tab)": Case(
        changed(("{epochs: 1,", "{epochs: 1,\tepoch: 1,")),
        """
        tiny.yaml:8:23: unknown key 'epoch'; did you mean 'epochs'?
          8 |   recipe: {epochs: 1,	epoch: 1, batch_size: 4}
            |                      	^
        """,
    ),
    "missing key": Case(
        without("question: Does the kind of convolution matter?\n"),
        """
        tiny.yaml:1:1: the suite has no 'question', which it needs
          1 | id: tiny
            | ^
        """,
    ),
    "missing key (of a comparison)": Case(
        without("    baseline: normal\n"),
        """
        tiny.yaml:11:5: the comparison has no 'baseline', which it needs
          11 |   - id: conv
             |     ^
        """,
    ),
    "missing key (all variants)": Case(
        without("    variants:\n      normal: {}\n      dilated: {network.conv: dilated}\n"),
        """
        tiny.yaml:11:5: the comparison has no 'variants', which it needs
          11 |   - id: conv
             |     ^
        """,
    ),
    "missing key (task)": Case(
        without("  task: classify\n"),
        """
        tiny.yaml:4:1: `base:` has no 'task', which every trial needs; add task: classify
          4 | base:
            | ^
        """,
    ),
    "missing key (network)": Case(
        without("  network: {family: staged, stages: [[4], [8]]}\n"),
        """
        tiny.yaml:4:1: `base:` has no 'network', which every trial needs; add network: {family: staged, stages: [[32], [64]]}
          4 | base:
            | ^
        """,
    ),
    "missing key (family)": Case(
        without("family: staged, "),
        """
        tiny.yaml:7:12: expected a name or {family: name, …}
          7 |   network: {stages: [[4], [8]]}
            |            ^
        """,
    ),
    "missing key (option)": Case(
        without(", stages: [[4], [8]]"),
        """
        tiny.yaml:7:12: network family 'staged' needs the option 'stages'
          7 |   network: {family: staged}
            |            ^
        """,
    ),
    "missing key (channels)": Case(
        changed(("[8]", "[{conv: dilated}]")),
        """
        tiny.yaml:7:44: a layer needs 'channels'
          7 |   network: {family: staged, stages: [[4], [{conv: dilated}]]}
            |                                            ^
        """,
    ),
    "wrong type": Case(
        changed(("epochs: 1", "epochs: many")),
        """
        tiny.yaml:8:20: epochs should be a whole number, not 'many'
          8 |   recipe: {epochs: many, batch_size: 4}
            |                    ^
        """,
    ),
    "wrong type (fraction)": Case(
        changed(("epochs: 1", "epochs: 1.5")),
        """
        tiny.yaml:8:20: epochs should be a whole number, not 1.5
          8 |   recipe: {epochs: 1.5, batch_size: 4}
            |                    ^
        """,
    ),
    "wrong type (true)": Case(
        changed(("epochs: 1", "epochs: true")),
        """
        tiny.yaml:8:20: epochs should be a whole number, not true
          8 |   recipe: {epochs: true, batch_size: 4}
            |                    ^
        """,
    ),
    "wrong type (text)": Case(
        changed(("title: A tiny suite", "title: 7")),
        """
        tiny.yaml:2:8: title should be text, not 7; put it in quotes: "7"
          2 | title: 7
            |        ^
        """,
    ),
    "wrong type (list for text)": Case(
        changed(("title: A tiny suite", "title: [a]")),
        """
        tiny.yaml:2:8: title should be text, not a list
          2 | title: [a]
            |        ^
        """,
    ),
    "wrong type (nothing)": Case(
        changed(("normal: {}", "normal:")),
        """
        tiny.yaml:15:7: normal should be a mapping, not nothing; write {} for an empty one
          15 |       normal:
             |       ^
        """,
    ),
    "wrong type (mapping for a list)": Case(
        SUITE.partition("comparisons")[0] + "comparisons: {conv: {}}\n",
        """
        tiny.yaml:10:14: comparisons should be a list, not a mapping
          10 | comparisons: {conv: {}}
             |              ^
        """,
    ),
    "wrong type (component)": Case(
        changed(("task: classify", "task: 3")),
        """
        tiny.yaml:5:9: expected a name or {kind: name, …}, not 3
          5 |   task: 3
            |         ^
        """,
    ),
    "wrong type (layer)": Case(
        changed(("[[4], [8]]", "[[4, x], [8]]")),
        """
        tiny.yaml:7:42: expected a number of channels or {channels: …}, not 'x'
          7 |   network: {family: staged, stages: [[4, x], [8]]}
            |                                          ^
        """,
    ),
    "out of range": Case(
        changed(("epochs: 1", "epochs: 0")),
        """
        tiny.yaml:8:20: epochs should be greater than 0, not 0
          8 |   recipe: {epochs: 0, batch_size: 4}
            |                    ^
        """,
    ),
    "out of range (infinite)": Case(
        changed(("epochs: 1", "lr: .inf")),
        """
        tiny.yaml:8:16: lr should be a finite number, not Infinity
          8 |   recipe: {lr: .inf, batch_size: 4}
            |                ^
        """,
    ),
    "out of range (choice)": Case(
        changed(("epochs: 1", "augment: [crop, flop]")),
        """
        tiny.yaml:8:28: augment[1] should be 'crop', 'flip' or 'cutout', not 'flop'
          8 |   recipe: {augment: [crop, flop], batch_size: 4}
            |                            ^
        """,
    ),
    "out of range (option)": Case(
        changed(("conv: dilated", "conv: {kind: dilated, dilation: 0}")),
        """
        tiny.yaml:16:57: dilation should be at least 1, not 0
          16 |       dilated: {network.conv: {kind: dilated, dilation: 0}}
             |                                                         ^
        """,
    ),
    "out of range (even kernel)": Case(
        changed(("conv: dilated", "conv: {kind: dilated, kernel: 4}")),
        """
        tiny.yaml:16:55: a kernel must be odd, so that the output lies on the input's grid; got 4
          16 |       dilated: {network.conv: {kind: dilated, kernel: 4}}
             |                                                       ^
        """,
    ),
    "out of range (no comparisons)": Case(
        SUITE.partition("comparisons")[0] + "comparisons: []\n",
        """
        tiny.yaml:10:14: comparisons should have at least 1 item
          10 | comparisons: []
             |              ^
        """,
    ),
    "unknown block": Case(
        changed(("conv: dilated", "conv: dilatd")),
        """
        tiny.yaml:16:31: unknown conv block 'dilatd'; did you mean 'dilated'?
          16 |       dilated: {network.conv: dilatd}
             |                               ^
        """,
    ),
    "unknown block (of a layer)": Case(
        changed(("[8]", "[{channels: 8, conv: dilatd}]")),
        """
        tiny.yaml:7:64: unknown conv block 'dilatd'; did you mean 'dilated'?
          7 |   network: {family: staged, stages: [[4], [{channels: 8, conv: dilatd}]]}
            |                                                                ^
        """,
    ),
    "unknown option": Case(
        changed(("conv: dilated", "conv: {kind: dilated, dilaton: 3}")),
        """
        tiny.yaml:16:47: conv block 'dilated' has no option 'dilaton'; did you mean 'dilation'?
          16 |       dilated: {network.conv: {kind: dilated, dilaton: 3}}
             |                                               ^
        """,
    ),
    # names
    "id with a slash": Case(
        changed(("id: tiny", "id: ti/ny")),
        """
        tiny.yaml:1:5: 'ti/ny' is no id; use lower-case letters, digits and single hyphens, for example s7-quick (it becomes a file name, a page anchor and a LaTeX label)
          1 | id: ti/ny
            |     ^
        """,
    ),
    "id with dots": Case(
        changed(("id: tiny", "id: ..")),
        """
        tiny.yaml:1:5: '..' is no id; use lower-case letters, digits and single hyphens, for example s7-quick (it becomes a file name, a page anchor and a LaTeX label)
          1 | id: ..
            |     ^
        """,
    ),
    "id with an underscore": Case(
        changed(("id: tiny", "id: ti_ny")),
        """
        tiny.yaml:1:5: 'ti_ny' is no id; use lower-case letters, digits and single hyphens, for example s7-quick (it becomes a file name, a page anchor and a LaTeX label)
          1 | id: ti_ny
            |     ^
        """,
    ),
    "id with an underscore (comparison)": Case(
        changed(("id: conv", "id: con_v")),
        """
        tiny.yaml:11:9: 'con_v' is no id; use lower-case letters, digits and single hyphens, for example s7-quick (it becomes a file name, a page anchor and a LaTeX label)
          11 |   - id: con_v
             |         ^
        """,
    ),
    "id is not the file name": Case(
        changed(("id: tiny", "id: small")),
        """
        tiny.yaml:1:5: the id 'small' is not the file's name; name the file small.yaml
          1 | id: small
            |     ^
        """,
    ),
    "comparison id twice": Case(
        changed(add=SUITE.partition("comparisons:\n")[2]),
        """
        tiny.yaml:17:9: the id 'conv' is taken by another comparison; choose another
          17 |   - id: conv
             |         ^
        """,
    ),
    "variant name": Case(
        changed(("dilated: {", "dil/ated: {")),
        """
        tiny.yaml:16:7: 'dil/ated' is no name; it begins with a letter or digit and goes on with these, spaces and _ + . -
          16 |       dil/ated: {network.conv: dilated}
             |       ^
        """,
    ),
    "unknown baseline": Case(
        changed(("baseline: normal", "baseline: norml")),
        """
        tiny.yaml:13:15: the baseline 'norml' is no variant of this comparison; did you mean 'normal'?
          13 |     baseline: norml
             |               ^
        """,
    ),
    "one variant only": Case(
        without("      dilated: {network.conv: dilated}\n"),
        """
        tiny.yaml:14:5: a comparison needs a baseline and at least one other variant
          14 |     variants:
             |     ^
        """,
    ),
    "unknown named variant": Case(
        changed(
            ("{network.conv: dilated}", "dilatd"),
            add="variants: {dilated: {network.conv: dilated}}\n",
        ),
        """
        tiny.yaml:16:16: unknown variant 'dilatd'; did you mean 'dilated'?
          16 |       dilated: dilatd
             |                ^
        """,
    ),
    # variants
    "no-op by configuration": Case(
        changed(("conv: dilated", "conv: normal")),
        """
        tiny.yaml:16:7: variant 'dilated' changes nothing: its configuration equals the baseline's; let it differ, or leave it out
          16 |       dilated: {network.conv: normal}
             |       ^
        """,
    ),
    "no-op by configuration (nothing)": Case(
        without("network.conv: dilated"),
        """
        tiny.yaml:16:7: variant 'dilated' changes nothing: its configuration equals the baseline's; let it differ, or leave it out
          16 |       dilated: {}
             |       ^
        """,
    ),
    "no-op by configuration (named)": Case(
        changed(("{network.conv: dilated}", "same"), add="variants: {same: {}}\n"),
        """
        tiny.yaml:16:7: variant 'dilated' changes nothing: its configuration equals the baseline's; let it differ, or leave it out
          16 |       dilated: same
             |       ^
        """,
    ),
    "no-op by configuration (of what it is compared with)": Case(
        changed(
            add="      same: {network.conv: {kind: dilated, dilation: 2}}\n    against: {same: dilated}\n"
        ),
        """
        tiny.yaml:17:7: variant 'same' changes nothing: its configuration equals that of 'dilated'; let it differ, or leave it out
          17 |       same: {network.conv: {kind: dilated, dilation: 2}}
             |       ^
        """,
    ),
    "no-op by network": Case(
        changed(
            (
                "network.conv: dilated",
                "network.stem: normal, network.stages.0: {layers: [4], conv: normal}",
            )
        ),
        """
        tiny.yaml:16:7: variant 'dilated' changes nothing: it builds the same network as the baseline; let it differ, or leave it out
          16 |       dilated: {network.stem: normal, network.stages.0: {layers: [4], conv: normal}}
             |       ^
        """,
    ),
    "unknown path": Case(
        changed(("network.conv", "network.cnv")),
        """
        tiny.yaml:16:17: network family 'staged' has no option 'cnv'; did you mean 'conv'?
          16 |       dilated: {network.cnv: dilated}
             |                 ^
        """,
    ),
    "unknown path (leads nowhere)": Case(
        changed(("network.conv", "network.hed.kind")),
        """
        tiny.yaml:16:17: network has no 'hed'; did you mean 'head'?
          16 |       dilated: {network.hed.kind: dilated}
             |                 ^
        """,
    ),
    "unknown path (through a number)": Case(
        changed(("network.conv", "network.stages.0.layers.0.channels.conv")),
        """
        tiny.yaml:16:17: network.stages[0].layers[0].channels has no parts, so .conv leads nowhere
          16 |       dilated: {network.stages.0.layers.0.channels.conv: dilated}
             |                 ^
        """,
    ),
    "unknown path (named, not compared)": Case(
        changed(add="variants: {wide: {network.widht: 9}}\n"),
        """
        tiny.yaml:17:19: network family 'staged' has no option 'widht'; did you mean 'width'?
          17 | variants: {wide: {network.widht: 9}}
             |                   ^
        """,
    ),
    "malformed path": Case(
        changed(("network.conv", "network..conv")),
        """
        tiny.yaml:16:17: 'network..conv' is no path; write for example network.stages[2].conv
          16 |       dilated: {network..conv: dilated}
             |                 ^
        """,
    ),
    "path index out of range": Case(
        changed(("network.conv", "'network.stages[7].conv'")),
        """
        tiny.yaml:16:17: network.stages has 2 items, counted from 0; there is no [7]
          16 |       dilated: {'network.stages[7].conv': dilated}
             |                 ^
        """,
    ),
    "path index out of range (without brackets)": Case(
        changed(("network.conv", "network.stages.7.conv")),
        """
        tiny.yaml:16:17: network.stages has 2 items, counted from 0; there is no [7]
          16 |       dilated: {network.stages.7.conv: dilated}
             |                 ^
        """,
    ),
    "wrong root of a path": Case(
        changed(("network.conv", "netwrok.conv")),
        """
        tiny.yaml:16:17: unknown key 'netwrok.conv'; did you mean 'network.conv'? (a setting's path begins with task, data, network or recipe)
          16 |       dilated: {netwrok.conv: dilated}
             |                 ^
        """,
    ),
    "wrong root of a path (none)": Case(
        changed(("network.conv", "conv")),
        """
        tiny.yaml:16:17: unknown key 'conv'; a setting's path begins with task, data, network or recipe
          16 |       dilated: {conv: dilated}
             |                 ^
        """,
    ),
    "wrong root of a path (a recipe's key)": Case(
        changed(("network.conv: dilated", "epochs: 2")),
        """
        tiny.yaml:16:17: unknown key 'epochs'; did you mean 'recipe.epochs'? (a setting's path begins with task, data, network or recipe)
          16 |       dilated: {epochs: 2}
             |                 ^
        """,
    ),
    "impossible shape": Case(
        changed(("[[4], [8]]", "[[4], [4], [4], [4], [4], [4], [8]]")),
        """
        tiny.yaml:7:12: conv/normal: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
          7 |   network: {family: staged, stages: [[4], [4], [4], [4], [4], [4], [8]]}
            |            ^
        """,
    ),
    "impossible shape (of a variant)": Case(
        changed(
            (
                "network.conv: dilated",
                "network.act: silu, network.stages: [[4], [4], [4], [4], [4], [4], [8]]",
            )
        ),
        """
        tiny.yaml:16:52: conv/dilated: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
          16 |       dilated: {network.act: silu, network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
             |                                                    ^
        """,
    ),
    "impossible shape (of the comparison's base)": Case(
        changed(
            (
                "    baseline",
                "    base: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}\n    baseline",
            )
        ),
        """
        tiny.yaml:13:28: conv/normal: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
          13 |     base: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
             |                            ^
        """,
    ),
    "other test images": Case(
        changed(("network.conv: dilated", "data.test_images: 4")),
        """
        tiny.yaml:16:35: variant 'dilated' would be tested on other images than 'normal'; put what all variants share into the comparison's `base:`
          16 |       dilated: {data.test_images: 4}
             |                                   ^
        """,
    ),
    # seeds, contrasts and profiles of a comparison
    "unknown variant in seeds": Case(
        changed(add="    seeds: {dilatd: 3}\n"),
        """
        tiny.yaml:17:13: unknown variant 'dilatd'; did you mean 'dilated'?
          17 |     seeds: {dilatd: 3}
             |             ^
        """,
    ),
    "unknown variant in seeds (of the suite)": Case(
        changed(("seeds: 2", "seeds: {each: 2, dilated: 3}")),
        """
        tiny.yaml:9:18: unknown variant 'dilated'; there are: each, baseline
          9 | seeds: {each: 2, dilated: 3}
            |                  ^
        """,
    ),
    "unknown variant in seeds (of a profile)": Case(
        changed(add="profiles: {quick: {seeds: {baseline: 2, normal: 3}}}\n"),
        """
        tiny.yaml:17:41: unknown variant 'normal'; there are: each, baseline
          17 | profiles: {quick: {seeds: {baseline: 2, normal: 3}}}
             |                                         ^
        """,
    ),
    "unknown variant in seeds (of a comparison's profile)": Case(
        changed(add="    profiles: {full: {seeds: {dilatd: 3}}}\n"),
        """
        tiny.yaml:17:31: unknown variant 'dilatd'; did you mean 'dilated'?
          17 |     profiles: {full: {seeds: {dilatd: 3}}}
             |                               ^
        """,
    ),
    "wrong form of seeds (share)": Case(
        changed(("seeds: 2", "seeds: {each: 2, baseline: many}")),
        """
        tiny.yaml:9:28: baseline should be a whole number, not 'many'
          9 | seeds: {each: 2, baseline: many}
            |                            ^
        """,
    ),
    "wrong form of seeds (no seed)": Case(
        changed(add="    seeds: {dilated: 0}\n"),
        """
        tiny.yaml:17:22: dilated should be greater than 0, not 0
          17 |     seeds: {dilated: 0}
             |                      ^
        """,
    ),
    "wrong form of seeds (rule of a comparison)": Case(
        changed(add="    seeds: {until: 0.3, at_most: 6}\n"),
        """
        tiny.yaml:17:12: seeds are added by a rule for a whole suite or profile only; write a count (5), a list ([0, 3, 7]) or counts by variant ({baseline: 8})
          17 |     seeds: {until: 0.3, at_most: 6}
             |            ^
        """,
    ),
    "compared with an unknown variant": Case(
        changed(add="    against: {dilated: norml}\n"),
        """
        tiny.yaml:17:24: unknown variant 'norml'; did you mean 'normal'?
          17 |     against: {dilated: norml}
             |                        ^
        """,
    ),
    "compared with an unknown variant (key)": Case(
        changed(add="    against: {dilatd: normal}\n"),
        """
        tiny.yaml:17:15: unknown variant 'dilatd'; did you mean 'dilated'?
          17 |     against: {dilatd: normal}
             |               ^
        """,
    ),
    "compared with itself": Case(
        changed(add="    against: {dilated: dilated}\n"),
        """
        tiny.yaml:17:24: 'dilated' cannot be compared with itself; name another variant
          17 |     against: {dilated: dilated}
             |                        ^
        """,
    ),
    "baseline compared with another": Case(
        changed(add="    against: {normal: dilated}\n"),
        """
        tiny.yaml:17:15: the baseline 'normal' is compared with no other; leave this out
          17 |     against: {normal: dilated}
             |               ^
        """,
    ),
    "unknown variant of a profile": Case(
        changed(add="    profiles: {full: {variants: [normal, dilatd]}}\n"),
        """
        tiny.yaml:17:42: unknown variant 'dilatd'; did you mean 'dilated'?
          17 |     profiles: {full: {variants: [normal, dilatd]}}
             |                                          ^
        """,
    ),
    "reference left out": Case(
        changed(add="    profiles: {full: {variants: [dilated]}}\n"),
        """
        tiny.yaml:17:34: 'dilated' is compared with 'normal', which is not among these; add it
          17 |     profiles: {full: {variants: [dilated]}}
             |                                  ^
        """,
    ),
    "unknown kind of layer": Case(
        changed(add="requirements: [{variant: normal, uses: [dilatd]}]\n"),
        """
        tiny.yaml:17:41: unknown kind of layer 'dilatd'; did you mean 'dilated'?
          17 | requirements: [{variant: normal, uses: [dilatd]}]
             |                                         ^
        """,
    ),
    "out of range (rounds of latency)": Case(
        changed(add="latency: {rounds: 1}\n"),
        """
        tiny.yaml:17:19: rounds should be at least 3, not 1
          17 | latency: {rounds: 1}
             |                   ^
        """,
    ),
    "out of range (batch of latency)": Case(
        changed(add="latency: {batches: [0]}\n"),
        """
        tiny.yaml:17:21: batches[0] should be greater than 0, not 0
          17 | latency: {batches: [0]}
             |                     ^
        """,
    ),
    "unknown key (of latency)": Case(
        changed(add="latency: {batch: [1]}\n"),
        """
        tiny.yaml:17:11: unknown key 'batch'; did you mean 'batches'?
          17 | latency: {batch: [1]}
             |           ^
        """,
    ),
    "unknown match (of a profile)": Case(
        changed(add="    profiles: {full: {match: parms}}\n"),
        """
        tiny.yaml:17:30: unknown match 'parms'; did you mean 'params'?
          17 |     profiles: {full: {match: parms}}
             |                              ^
        """,
    ),
    # seeds
    "seed twice in a list": Case(
        changed(("seeds: 2", "seeds: [0, 3, 3]")),
        """
        tiny.yaml:9:8: seed 3 is given twice; a seed counts once
          9 | seeds: [0, 3, 3]
            |        ^
        """,
    ),
    "negative seed": Case(
        changed(("seeds: 2", "seeds: [0, -3]")),
        """
        tiny.yaml:9:12: seeds[1] should be at least 0, not -3
          9 | seeds: [0, -3]
            |            ^
        """,
    ),
    "negative seed (count)": Case(
        changed(("seeds: 2", "seeds: -3")),
        """
        tiny.yaml:9:8: seeds should be at least 0, not -3
          9 | seeds: -3
            |        ^
        """,
    ),
    "wrong form of seeds": Case(
        changed(("seeds: 2", "seeds: five")),
        """
        tiny.yaml:9:8: 'five' gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule ({until: 0.3, at_most: 20})
          9 | seeds: five
            |        ^
        """,
    ),
    "wrong form of seeds (range)": Case(
        changed(("seeds: 2", "seeds: 0-4")),
        """
        tiny.yaml:9:8: '0-4' gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule ({until: 0.3, at_most: 20})
          9 | seeds: 0-4
            |        ^
        """,
    ),
    "wrong form of seeds (nothing)": Case(
        changed(("seeds: 2", "seeds:")),
        """
        tiny.yaml:9:1: nothing gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule ({until: 0.3, at_most: 20})
          9 | seeds:
            | ^
        """,
    ),
    "wrong form of seeds (true)": Case(
        changed(("seeds: 2", "seeds: true")),
        """
        tiny.yaml:9:8: true gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule ({until: 0.3, at_most: 20})
          9 | seeds: true
            |        ^
        """,
    ),
    "wrong form of seeds (empty)": Case(
        changed(("seeds: 2", "seeds: []")),
        """
        tiny.yaml:9:8: seeds should have at least 1 item
          9 | seeds: []
            |        ^
        """,
    ),
    "wrong form of seeds (too many)": Case(
        changed(("seeds: 2", "seeds: 100000")),
        """
        tiny.yaml:9:8: seeds should be at most 10000, not 100000
          9 | seeds: 100000
            |        ^
        """,
    ),
    "wrong form of seeds (of a profile)": Case(
        changed(add="profiles: {quick: {seeds: many}}\n"),
        """
        tiny.yaml:17:27: 'many' gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule ({until: 0.3, at_most: 20})
          17 | profiles: {quick: {seeds: many}}
             |                           ^
        """,
    ),
    "incomplete until": Case(
        changed(("seeds: 2", "seeds: {until: 0.3}")),
        """
        tiny.yaml:9:1: seeds has no 'at_most', which it needs
          9 | seeds: {until: 0.3}
            | ^
        """,
    ),
    "incomplete until (misspelt)": Case(
        changed(("seeds: 2", "seeds: {until: 0.3, atmost: 20}")),
        """
        tiny.yaml:9:21: unknown key 'atmost'; did you mean 'at_most'?
          9 | seeds: {until: 0.3, atmost: 20}
            |                     ^
        """,
    ),
    "incomplete until (too few)": Case(
        changed(("seeds: 2", "seeds: {until: 0.3, at_most: 3}")),
        """
        tiny.yaml:9:30: at_most should be at least 5, not 3
          9 | seeds: {until: 0.3, at_most: 3}
            |                              ^
        """,
    ),
    # data
    "unknown data set": Case(
        changed(("name: folder", "name: foldr")),
        """
        tiny.yaml:6:16: unknown data set 'foldr'; did you mean 'folder'?
          6 |   data: {name: foldr, path: images}
            |                ^
        """,
    ),
    "unknown fallback": Case(
        changed(("name: folder", "name: folder, fallback: photo")),
        """
        tiny.yaml:6:34: unknown data set 'photo'; did you mean 'photos'?
          6 |   data: {name: folder, fallback: photo, path: images}
            |                                  ^
        """,
    ),
    "unknown fallback (that needs options)": Case(
        changed(("name: folder, path: images", "name: cifar10, fallback: folder")),
        """
        tiny.yaml:6:35: data set 'folder' needs the option 'path', so it cannot be a fallback
          6 |   data: {name: cifar10, fallback: folder}
            |                                   ^
        """,
    ),
    "missing folder": Case(
        changed(("path: images", "path: imags")),
        """
        tiny.yaml:6:16: HERE/imags: there is no such folder; give the folder that holds train/ and test/
          6 |   data: {name: folder, path: imags}
            |                ^
        """,
    ),
    "too many validation images": Case(
        changed(("path: images", "path: images, validation_images: 100")),
        """
        tiny.yaml:6:57: images of images (folder): cannot hold 100 of 16 training images out: ask for at least one image of each class and fewer than there are
          6 |   data: {name: folder, path: images, validation_images: 100}
            |                                                         ^
        """,
    ),
    # claims
    "unknown kind of claim": Case(
        claim("kind: ordr, metric: accuracy, expect: dilated < normal, margin: 1"),
        """
        tiny.yaml:18:39: unknown kind of claim 'ordr'; did you mean 'order'?
          18 |       - {note: 'A:1', says: so, kind: ordr, metric: accuracy, expect: dilated < normal, margin: 1}
             |                                       ^
        """,
    ),
    "unknown kind of claim (none)": Case(
        claim("metric: accuracy, expect: dilated < normal, margin: 1"),
        """
        tiny.yaml:18:9: a claim needs its kind: order, equivalence, ratio, range, equality, count, trend, requirement, question
          18 |       - {note: 'A:1', says: so, metric: accuracy, expect: dilated < normal, margin: 1}
             |         ^
        """,
    ),
    "claim about an unknown variant": Case(
        claim("kind: order, metric: accuracy, expect: dilatd < norml, margin: 1"),
        """
        tiny.yaml:18:72: the claim is about 'dilatd', which is no variant of this comparison; did you mean 'dilated'?
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilatd < norml, margin: 1}
             |                                                                        ^
        tiny.yaml:18:72: the claim is about 'norml', which is no variant of this comparison; did you mean 'normal'?
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilatd < norml, margin: 1}
             |                                                                        ^
        """,
    ),
    "claim about an unknown variant (ratio)": Case(
        claim("kind: ratio, metric: params, of: normal/dilatd, about: 2"),
        """
        tiny.yaml:18:66: the claim is about 'dilatd', which is no variant of this comparison; did you mean 'dilated'?
          18 |       - {note: 'A:1', says: so, kind: ratio, metric: params, of: normal/dilatd, about: 2}
             |                                                                  ^
        """,
    ),
    "claim about an unknown variant (trend)": Case(
        claim("kind: trend, metric: params, of: dilatd, expect: rising"),
        """
        tiny.yaml:18:66: the claim is about 'dilatd', which is no variant of this comparison; did you mean 'dilated'?
          18 |       - {note: 'A:1', says: so, kind: trend, metric: params, of: dilatd, expect: rising}
             |                                                                  ^
        """,
    ),
    "claim about an unknown variant (question)": Case(
        claim("kind: question, metric: accuracy, between: [normal, dilatd], margin: 1"),
        """
        tiny.yaml:18:85: the claim is about 'dilatd', which is no variant of this comparison; did you mean 'dilated'?
          18 |       - {note: 'A:1', says: so, kind: question, metric: accuracy, between: [normal, dilatd], margin: 1}
             |                                                                                     ^
        """,
    ),
    "claim about an unknown metric": Case(
        claim("kind: order, metric: acuracy, expect: dilated < normal, margin: 1"),
        """
        tiny.yaml:18:54: unknown metric 'acuracy'; did you mean 'accuracy'?
          18 |       - {note: 'A:1', says: so, kind: order, metric: acuracy, expect: dilated < normal, margin: 1}
             |                                                      ^
        """,
    ),
    "claim about a match that is not made": Case(
        claim("kind: ratio, metric: params, of: normal/dilated, about: 2, match: params"),
        """
        tiny.yaml:18:99: the comparison is not matched by params; add that to its `match:`
          18 |       - {note: 'A:1', says: so, kind: ratio, metric: params, of: normal/dilated, about: 2, match: params}
             |                                                                                                   ^
        """,
    ),
    "claim over an unknown path": Case(
        claim(
            "kind: trend, metric: params, of: normal, expect: rising, over: {netwrok.width: [4, 8]}"
        ),
        """
        tiny.yaml:18:97: unknown key 'netwrok.width'; did you mean 'network.width'? (a setting's path begins with task, data, network or recipe)
          18 |       - {note: 'A:1', says: so, kind: trend, metric: params, of: normal, expect: rising, over: {netwrok.width: [4, 8]}}
             |                                                                                                 ^
        """,
    ),
    "negative margin": Case(
        claim("kind: order, metric: accuracy, expect: dilated < normal, margin: -1"),
        """
        tiny.yaml:18:98: a margin is the smallest difference that matters; it cannot be negative
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated < normal, margin: -1}
             |                                                                                                  ^
        """,
    ),
    "negative margin (percent)": Case(
        claim("kind: order, metric: accuracy, expect: dilated < normal, margin: -1%"),
        """
        tiny.yaml:18:98: '-1%' is no margin; write a number in the metric's unit, or `2%`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated < normal, margin: -1%}
             |                                                                                                  ^
        """,
    ),
    "negative margin (word)": Case(
        claim("kind: order, metric: accuracy, expect: dilated < normal, margin: one"),
        """
        tiny.yaml:18:98: 'one' is no margin; write a number in the metric's unit, or `2%`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated < normal, margin: one}
             |                                                                                                  ^
        """,
    ),
    "negative margin (of a comparison)": Case(
        changed(add="    margin: -1\n"),
        """
        tiny.yaml:17:13: margin should be at least 0, not -1
          17 |     margin: -1
             |             ^
        """,
    ),
    "claim without a key": Case(
        claim("kind: order, metric: accuracy, expect: dilated < normal"),
        """
        tiny.yaml:18:9: a claim of kind 'order' has no 'margin', which it needs
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated < normal}
             |         ^
        """,
    ),
    "claim without a key (misspelt)": Case(
        claim("kind: order, metric: accuracy, expext: dilated < normal, margin: 1"),
        """
        tiny.yaml:18:64: unknown key 'expext'; did you mean 'expect'?
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expext: dilated < normal, margin: 1}
             |                                                                ^
        """,
    ),
    "malformed relation": Case(
        claim("kind: order, metric: accuracy, expect: dilated is better, margin: 1"),
        """
        tiny.yaml:18:72: 'dilated is better' is no relation; write for example `depthwise < normal`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated is better, margin: 1}
             |                                                                        ^
        """,
    ),
    "malformed relation (not strict)": Case(
        claim("kind: order, metric: accuracy, expect: dilated <= normal, margin: 1"),
        """
        tiny.yaml:18:72: 'dilated <= normal' is no relation; write for example `depthwise < normal`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated <= normal, margin: 1}
             |                                                                        ^
        """,
    ),
    "malformed relation (three)": Case(
        claim("kind: order, metric: accuracy, expect: dilated < normal < best, margin: 1"),
        """
        tiny.yaml:18:72: 'dilated < normal < best' is no relation; write for example `depthwise < normal`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated < normal < best, margin: 1}
             |                                                                        ^
        """,
    ),
    "malformed relation (order with =)": Case(
        claim("kind: order, metric: accuracy, expect: dilated = normal, margin: 1"),
        """
        tiny.yaml:18:72: a claim of this kind expects < or >; write for example `depthwise < normal`
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: dilated = normal, margin: 1}
             |                                                                        ^
        """,
    ),
    "malformed relation (equivalence with <)": Case(
        claim("kind: equivalence, metric: accuracy, expect: dilated < normal, margin: 1"),
        """
        tiny.yaml:18:78: a claim of this kind expects =; write for example `depthwise = normal`
          18 |       - {note: 'A:1', says: so, kind: equivalence, metric: accuracy, expect: dilated < normal, margin: 1}
             |                                                                              ^
        """,
    ),
    "malformed relation (with itself)": Case(
        claim("kind: order, metric: accuracy, expect: normal < normal, margin: 1"),
        """
        tiny.yaml:18:72: 'normal < normal' names one variant twice; a claim compares two
          18 |       - {note: 'A:1', says: so, kind: order, metric: accuracy, expect: normal < normal, margin: 1}
             |                                                                        ^
        """,
    ),
    "malformed ratio": Case(
        claim("kind: ratio, metric: params, of: normal, about: 2"),
        """
        tiny.yaml:18:66: 'normal' is no ratio; write for example `normal/depthwise`
          18 |       - {note: 'A:1', says: so, kind: ratio, metric: params, of: normal, about: 2}
             |                                                                  ^
        """,
    ),
    "malformed ratio (without a number)": Case(
        claim("kind: ratio, metric: params, of: normal/dilated"),
        """
        tiny.yaml:18:9: a ratio needs a number: about, at_least or at_most
          18 |       - {note: 'A:1', says: so, kind: ratio, metric: params, of: normal/dilated}
             |         ^
        """,
    ),
    "malformed range": Case(
        claim("kind: range, metric: params, of: normal, low: 5, high: 2"),
        """
        tiny.yaml:18:9: low (5) is above high (2); swap them
          18 |       - {note: 'A:1', says: so, kind: range, metric: params, of: normal, low: 5, high: 2}
             |         ^
        """,
    ),
    "malformed range (a requirement without a number)": Case(
        claim("kind: requirement, metric: params, of: normal"),
        """
        tiny.yaml:18:9: a requirement needs a number: at_least or at_most
          18 |       - {note: 'A:1', says: so, kind: requirement, metric: params, of: normal}
             |         ^
        """,
    ),
    "malformed note reference": Case(
        claim("kind: ratio, metric: params, of: normal/dilated, about: 2", note="A113"),
        """
        tiny.yaml:18:16: 'A113' is no reference; write a note and its line, for example A:113
          18 |       - {note: 'A113', says: so, kind: ratio, metric: params, of: normal/dilated, about: 2}
             |                ^
        """,
    ),
    # matches, metrics, requirements, profiles
    "unknown match": Case(
        changed(add="    match: [none, parms]\n"),
        """
        tiny.yaml:17:19: unknown match 'parms'; did you mean 'params'?
          17 |     match: [none, parms]
             |                   ^
        """,
    ),
    "unknown match (with a tolerance)": Case(
        changed(add="    match: {parms: 1%}\n"),
        """
        tiny.yaml:17:12: unknown match 'parms'; did you mean 'params'?
          17 |     match: {parms: 1%}
             |            ^
        """,
    ),
    "match twice": Case(
        changed(add="    match: [params, {params: 1%}]\n"),
        """
        tiny.yaml:17:12: params is given twice; give each match once
          17 |     match: [params, {params: 1%}]
             |            ^
        """,
    ),
    "match tolerance": Case(
        changed(add="    match: {params: 90%}\n"),
        """
        tiny.yaml:17:12: a tolerance is more than 0% and less than 50%, not 90%; write 2%
          17 |     match: {params: 90%}
             |            ^
        """,
    ),
    "unreachable budget": Case(
        changed(("conv: dilated", "stages: [[64]]"), add="    match: {params: 0.1%}\n"),
        """
        tiny.yaml:16:7: conv/dilated at equal params: no width brings it within 0.1% of 438 params; the nearest: 436 (width 14) and 467 (width 14.5); widen the tolerance, for example match: {params: 1%}, or leave this match out
          16 |       dilated: {network.stages: [[64]]}
             |       ^
        """,
    ),
    "unknown metric": Case(
        changed(add="    metric: acuracy\n"),
        """
        tiny.yaml:17:13: unknown metric 'acuracy'; did you mean 'accuracy'?
          17 |     metric: acuracy
             |             ^
        """,
    ),
    "requirement on an unknown variant": Case(
        changed(add="requirements:\n  - {variant: dilatd, params: {below: 1000}}\n"),
        """
        tiny.yaml:18:15: unknown variant 'dilatd'; did you mean 'dilated'?
          18 |   - {variant: dilatd, params: {below: 1000}}
             |               ^
        """,
    ),
    "requirement on an unknown metric": Case(
        changed(add="requirements:\n  - {variant: dilated, parms: {below: 1000}}\n"),
        """
        tiny.yaml:18:24: unknown metric 'parms'; did you mean 'params'?
          18 |   - {variant: dilated, parms: {below: 1000}}
             |                        ^
        """,
    ),
    "requirement without a bound": Case(
        changed(add="requirements:\n  - {variant: dilated, params: {}}\n"),
        """
        tiny.yaml:18:32: a bound needs a number: below, above, at_least or at_most
          18 |   - {variant: dilated, params: {}}
             |                                ^
        """,
    ),
    "requirement without a bound (a number)": Case(
        changed(add="requirements:\n  - {variant: dilated, params: 1000}\n"),
        """
        tiny.yaml:18:32: params should be a mapping, not 1000
          18 |   - {variant: dilated, params: 1000}
             |                                ^
        """,
    ),
    "requirement without a bound (misspelt)": Case(
        changed(add="requirements:\n  - {variant: dilated, params: {belw: 1000}}\n"),
        """
        tiny.yaml:18:33: unknown key 'belw'; did you mean 'below'?
          18 |   - {variant: dilated, params: {belw: 1000}}
             |                                 ^
        """,
    ),
    "profile with an unknown comparison": Case(
        changed(add="profiles:\n  quick: {comparisons: [cnv]}\n"),
        """
        tiny.yaml:18:25: unknown comparison 'cnv'; did you mean 'conv'?
          18 |   quick: {comparisons: [cnv]}
             |                         ^
        """,
    ),
    "profile with an unknown path": Case(
        changed(add="profiles:\n  quick: {recipe.epchs: 1}\n"),
        """
        tiny.yaml:18:11: unknown key 'epchs'; did you mean 'epochs'?
          18 |   quick: {recipe.epchs: 1}
             |           ^
        """,
    ),
    "profile with an unknown path (root)": Case(
        changed(add="profiles:\n  quick: {epochs: 1}\n"),
        """
        tiny.yaml:18:11: unknown key 'epochs'; did you mean 'recipe.epochs'? (a setting's path begins with task, data, network or recipe)
          18 |   quick: {epochs: 1}
             |           ^
        """,
    ),
    "profile of a comparison that is unknown": Case(
        changed(add="    profiles: {quik: {recipe.epochs: 1}}\nprofiles: {quick: {seeds: 1}}\n"),
        """
        tiny.yaml:17:16: unknown profile 'quik'; did you mean 'quick'?
          17 |     profiles: {quik: {recipe.epochs: 1}}
             |                ^
        """,
    ),
    # plugins
    "plugin missing": Case(
        changed(add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: cannot read the plugin wavelet.py: No such file or directory; plugins are looked for from the suite's folder on
          17 | plugins: [wavelet.py]
             |           ^
        """,
    ),
    "plugin without ROOM": Case(
        changed(add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py does not say where it belongs; write for example ROOM = "blocks/conv"
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={"wavelet.py": "def build(i, o, stride, norm, act): ...\n"},
    ),
    "plugin with an unknown ROOM": Case(
        changed(add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py belongs to ROOM = 'blocks/cnv', which there is not; did you mean 'blocks/conv'?
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={"wavelet.py": 'ROOM = "blocks/cnv"\n'},
    ),
    "plugin with a taken name": Case(
        changed(add="plugins: [normal.py]\n"),
        """
        tiny.yaml:17:11: the plugin normal.py takes a name that exists, conv block 'normal'; give the file another name
          17 | plugins: [normal.py]
             |           ^
        """,
        files={"normal.py": 'ROOM = "blocks/conv"\n'},
    ),
    "plugin with a syntax error": Case(
        changed(add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py is not valid Python: line 2: '(' was never closed
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={"wavelet.py": 'ROOM = "blocks/conv"\ndef build(\n'},
    ),
    "plugin that cannot be imported": Case(
        changed(("conv: dilated", "conv: wavelet"), add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py cannot be imported: ModuleNotFoundError: No module named 'torch.wavelet'
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={"wavelet.py": 'ROOM = "blocks/conv"\nimport torch.wavelet\n'},
    ),
    "plugin without a builder": Case(
        changed(("conv: dilated", "conv: wavelet"), add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py defines no 'build', as files of blocks/conv do
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={"wavelet.py": 'ROOM = "blocks/conv"\n'},
    ),
    "plugin with an option without a type": Case(
        changed(("conv: dilated", "conv: wavelet"), add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:17:11: the plugin wavelet.py: the option 'levels' has no type; write levels: int, for example
          17 | plugins: [wavelet.py]
             |           ^
        """,
        files={
            "wavelet.py": 'ROOM = "blocks/conv"\ndef build(i, o, stride, norm, act, *, levels=2): ...\n'
        },
    ),
    "plugin that fails to build": Case(
        changed(("conv: dilated", "conv: wavelet"), add="plugins: [wavelet.py]\n"),
        """
        tiny.yaml:16:31: conv/dilated: building it raises AttributeError: 'int' object has no attribute 'channels'
          16 |       dilated: {network.conv: wavelet}
             |                               ^
        """,
        files={
            "wavelet.py": 'ROOM = "blocks/conv"\ndef build(i, o, stride, norm, act):\n    return o.channels\n'
        },
    ),
    # the command line
    "unknown profile": Case(
        changed(add="profiles: {quick: {seeds: 1}}\n"),
        """
        --profile: unknown profile 'quik'; did you mean 'quick'?
        """,
        request={"profile": "quik"},
    ),
    "unknown data set on the command line": Case(
        SUITE,
        """
        --data: unknown data set 'foldr'; did you mean 'folder'?
        """,
        request={"data": "foldr:images"},
    ),
    "folder without a path": Case(
        SUITE,
        """
        --data: which folder? write --data folder:PATH
        """,
        request={"data": "folder"},
    ),
    "folder without a path (after the colon)": Case(
        SUITE,
        """
        --data: which folder? write --data folder:PATH
        """,
        request={"data": "folder:"},
    ),
    "path for a data set that takes none": Case(
        SUITE,
        """
        --data: cifar10 takes no path; write --data cifar10
        """,
        request={"data": "cifar10:images"},
    ),
    "malformed override": Case(
        SUITE,
        """
        command line: 'recipe.epochs' is no setting; write for example recipe.epochs=2
        """,
        request={"overrides": ("recipe.epochs",)},
    ),
    "malformed override (no key)": Case(
        SUITE,
        """
        command line: '=2' is no setting; write for example recipe.epochs=2
        """,
        request={"overrides": ("=2",)},
    ),
    "malformed override (path)": Case(
        SUITE,
        """
        command line: 'recipe..epochs' is no path; write for example network.stages[2].conv
        """,
        request={"overrides": ("recipe..epochs=2",)},
    ),
    "malformed override (value)": Case(
        SUITE,
        """
        command line: 'recipe.epochs=[2': not valid YAML: expected ',' or ']', but got '<stream end>'
        """,
        request={"overrides": ("recipe.epochs=[2",)},
    ),
    "malformed override (tag)": Case(
        SUITE,
        """
        command line: 'recipe.epochs=!!int 2': YAML tags (!name) are refused; write the value alone
        """,
        request={"overrides": ("recipe.epochs=!!int 2",)},
    ),
    "unknown override key": Case(
        SUITE,
        """
        command line: recipe.epchs: unknown key 'epchs'; did you mean 'epochs'?
        """,
        request={"overrides": ("recipe.epchs=2",)},
    ),
    "unknown override key (root)": Case(
        SUITE,
        """
        command line: unknown key 'epochs'; did you mean 'recipe.epochs'? (a setting's path begins with task, data, network or recipe)
        """,
        request={"overrides": ("epochs=2",)},
    ),
    "unknown override key (index)": Case(
        SUITE,
        """
        command line: network.stages[7].conv: network.stages has 2 items, counted from 0; there is no [7]
        """,
        request={"overrides": ("network.stages[7].conv=dilated",)},
    ),
    "wrong override value": Case(
        SUITE,
        """
        command line: recipe.epochs should be a whole number, not 'two'
        """,
        request={"overrides": ("recipe.epochs=two",)},
    ),
    "wrong override value (range)": Case(
        SUITE,
        """
        command line: network.width should be greater than 0, not -1
        """,
        request={"overrides": ("network.width=-1",)},
    ),
    "wrong override value (block)": Case(
        SUITE,
        """
        command line: network.conv.kind: unknown conv block 'dilatd'; did you mean 'dilated'?
        """,
        request={"overrides": ("network.conv=dilatd",)},
    ),
    "wrong override value (network)": Case(
        SUITE,
        """
        command line: network: expected a name or {family: name, …}, not 3
        """,
        request={"overrides": ("network=3",)},
    ),
    "wrong override value (shape)": Case(
        SUITE,
        """
        command line: network.stages: conv/normal: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
        """,
        request={"overrides": ("network.stages=[[4],[4],[4],[4],[4],[4],[8]]",)},
    ),
    "wrong override value (makes a variant the baseline)": Case(
        SUITE,
        """
        tiny.yaml:16:7: variant 'dilated' changes nothing: its configuration equals the baseline's; without network.conv=dilated it would
          16 |       dilated: {network.conv: dilated}
             |       ^
        """,
        request={"overrides": ("network.conv=dilated",)},
    ),
    "override twice": Case(
        SUITE,
        """
        command line: recipe.epochs is given twice; give it once
        """,
        request={"overrides": ("recipe.epochs=2", "recipe.epochs=3")},
    ),
    "seeds twice": Case(
        SUITE,
        """
        command line: seeds is given twice; give it once
        """,
        request={"seeds": "5", "overrides": ("seeds=3",)},
    ),
    "seeds twice (as settings)": Case(
        SUITE,
        """
        command line: seeds is given twice; give it once
        """,
        request={"overrides": ("seeds=5", "seeds=3")},
    ),
    "doubled seed": Case(
        SUITE,
        """
        --seeds: seed 3 is given twice; a seed counts once
        """,
        request={"seeds": "0,3,3"},
    ),
    "doubled seed (as a setting)": Case(
        SUITE,
        """
        command line: seed 1 is given twice; a seed counts once
        """,
        request={"overrides": ("seeds=[1, 1]",)},
    ),
    "malformed seeds": Case(
        SUITE,
        """
        --seeds: 'five' is neither a count (5), a list (0,3,7) nor a range (0-4)
        """,
        request={"seeds": "five"},
    ),
    "malformed seeds (negative)": Case(
        SUITE,
        """
        --seeds: seeds should be at least 0, not -3
        """,
        request={"seeds": "-3"},
    ),
    "malformed seeds (backwards)": Case(
        SUITE,
        """
        --seeds: '4-0' is no range of 1 to 10,000 seeds; write for example 0-4
        """,
        request={"seeds": "4-0"},
    ),
    "malformed seeds (too many)": Case(
        SUITE,
        """
        --seeds: '0-99999999999' is no range of 1 to 10,000 seeds; write for example 0-4
        """,
        request={"seeds": "0-99999999999"},
    ),
    "malformed seeds (as a setting)": Case(
        SUITE,
        """
        command line: the key 'at_most' is missing
        """,
        request={"overrides": ("seeds={until: 1}",)},
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("here", "no_plugins")
def test_what_is_said_of_a_mistake(name: str) -> None:
    case = CASES[name]
    for file, text in case.files.items():
        Path(file).write_text(text)
    with pytest.raises(SuiteError) as caught:
        checked(case.suite, **case.request)
    assert str(caught.value) == verbatim(case.expected)


# --- several mistakes at once: one does not hide another, and none is made up --------------------

SEVERAL = {
    "form, block, shape, claims in one comparison": Case(
        changed(
            ("title: A tiny suite", "titel: A tiny suite"),
            ("seeds: 2", "seeds: [0, -1]"),
            (
                "      dilated: {network.conv: dilated}\n",
                """\
      dilated: {network.conv: dilatd}
      deep: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
      same: {network.conv: {kind: normal, kernel: 3}}
    match: parms
    claims:
      - {note: "A:1", says: so, kind: order, metric: accuracy, expect: dilatd < normal, margin: 1}
      - {note: "A:2", says: so, kind: ratio, metric: params, of: normal, about: 9}
""",
            ),
        ),
        """
        tiny.yaml:2:1: unknown key 'titel'; did you mean 'title'?
          2 | titel: A tiny suite
            | ^
        tiny.yaml:9:12: seeds[1] should be at least 0, not -1
          9 | seeds: [0, -1]
            |            ^
        tiny.yaml:16:31: unknown conv block 'dilatd'; did you mean 'dilated'?
          16 |       dilated: {network.conv: dilatd}
             |                               ^
        tiny.yaml:17:30: conv/deep: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
          17 |       deep: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
             |                              ^
        tiny.yaml:18:7: variant 'same' changes nothing: its configuration equals the baseline's; let it differ, or leave it out
          18 |       same: {network.conv: {kind: normal, kernel: 3}}
             |       ^
        tiny.yaml:19:12: unknown match 'parms'; did you mean 'params'?
          19 |     match: parms
             |            ^
        tiny.yaml:21:72: the claim is about 'dilatd', which is no variant of this comparison; did you mean 'dilated'?
          21 |       - {note: "A:1", says: so, kind: order, metric: accuracy, expect: dilatd < normal, margin: 1}
             |                                                                        ^
        tiny.yaml:22:66: 'normal' is no ratio; write for example `normal/depthwise`
          22 |       - {note: "A:2", says: so, kind: ratio, metric: params, of: normal, about: 9}
             |                                                                  ^
        """,
    ),
    "base, path, plugin, requirement, profile, command line": Case(
        changed(
            ("task: classify", "task: clasify"),
            ("epochs: 1", "epoch: 1"),
            ("    baseline: normal\n", ""),
            ("conv: dilated", "stages.9.conv: dilated"),
            add="""\
plugins: [wavelet.py]
requirements:
  - {variant: dilatd, params: {belw: 9}}
profiles:
  quick: {recipe.epochs: 0, comparisons: [cnv]}
""",
        ),
        """
        tiny.yaml:5:9: unknown task 'clasify'; did you mean 'classify'?
          5 |   task: clasify
            |         ^
        tiny.yaml:8:12: unknown key 'epoch'; did you mean 'epochs'?
          8 |   recipe: {epoch: 1, batch_size: 4}
            |            ^
        tiny.yaml:11:5: the comparison has no 'baseline', which it needs
          11 |   - id: conv
             |     ^
        tiny.yaml:15:17: network.stages has 2 items, counted from 0; there is no [9]
          15 |       dilated: {network.stages.9.conv: dilated}
             |                 ^
        tiny.yaml:16:11: cannot read the plugin wavelet.py: No such file or directory; plugins are looked for from the suite's folder on
          16 | plugins: [wavelet.py]
             |           ^
        tiny.yaml:18:15: unknown variant 'dilatd'; did you mean 'dilated'?
          18 |   - {variant: dilatd, params: {belw: 9}}
             |               ^
        tiny.yaml:18:32: unknown key 'belw'; did you mean 'below'?
          18 |   - {variant: dilatd, params: {belw: 9}}
             |                                ^
        tiny.yaml:20:26: epochs should be greater than 0, not 0
          20 |   quick: {recipe.epochs: 0, comparisons: [cnv]}
             |                          ^
        tiny.yaml:20:43: unknown comparison 'cnv'; did you mean 'conv'?
          20 |   quick: {recipe.epochs: 0, comparisons: [cnv]}
             |                                           ^
        --seeds: '4-0' is no range of 1 to 10,000 seeds; write for example 0-4
        command line: recipe.lr should be a number, not 'fast'
        """,
        request={"overrides": ("recipe.lr=fast",), "seeds": "4-0"},
    ),
    "shape, no-op, budget, metric in four comparisons": Case(
        changed(
            ("[[4], [8]]", "[[4], [8], [8]]"),
            add="""\
  - id: act
    title: Which activation?
    base: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
    baseline: relu
    variants: {relu: {}, silu: {network.act: silu}}
  - id: width
    title: Wide or narrow?
    baseline: narrow
    variants:
      narrow: {}
      same: {network.width: 4}
      single: {network.stages: [[64]]}
    match: {params: 0.1%}
  - id: down
    title: Pool or stride?
    base: {recipe.batch_sise: 2}
    baseline: pool
    variants: {pool: {}, stride: {network.down: strided}}
""",
        ),
        """
        tiny.yaml:19:28: act/relu: stage 6: the 32x32 input is down to 1x1 after stage 5, which 'maxpool' cannot halve; use fewer downsamplings or larger images
          19 |     base: {network.stages: [[4], [4], [4], [4], [4], [4], [8]]}
             |                            ^
        tiny.yaml:27:7: variant 'same' changes nothing: it builds the same network as the baseline; let it differ, or leave it out
          27 |       same: {network.width: 4}
             |       ^
        tiny.yaml:28:7: width/single at equal params: no width brings it within 0.1% of 1,030 params; the nearest: 1,025 (width 33) and 1,056 (width 34); widen the tolerance, for example match: {params: 1%}, or leave this match out
          28 |       single: {network.stages: [[64]]}
             |       ^
        tiny.yaml:32:12: unknown key 'batch_sise'; did you mean 'batch_size'?
          32 |     base: {recipe.batch_sise: 2}
             |            ^
        """,
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.usefixtures("here", "no_plugins")
def test_all_mistakes_are_said_at_once(name: str) -> None:
    case = SEVERAL[name]
    with pytest.raises(SuiteError) as caught:
        checked(case.suite, **case.request)
    assert str(caught.value) == verbatim(case.expected)


# --- what needs more than a suite file ------------------------------------------------------------


def usable() -> str:
    """The devices of this machine, as messages list them."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ", ".join(["cpu", *(device for device, yes in there.items() if yes)])


def run_with(jobs: str = "auto", executor: str | None = None) -> Callable[[], object]:
    """Run the suite, only to be refused."""
    asked, runs, reports = Request("tiny.yaml"), Path("runs"), Path("reports")
    return lambda: commands.run(asked, None, runs, reports, jobs, executor, False)


def config_of(comparison: str | None = None, variant: str | None = None) -> Callable[[], object]:
    return lambda: commands.config(Request("tiny.yaml"), None, comparison, variant)


# What is done, and what is said of it. The suites by name are those of the folder `suites`.
COMMANDS: dict[str, tuple[Callable[[], object], str]] = {
    "unknown suite": (
        lambda: load(Request("tinny"), "full"),
        "suite: unknown suite 'tinny'; did you mean 'tiny'?",
    ),
    "unknown suite (not like any)": (
        lambda: load(Request("s99"), "full"),
        "suite: unknown suite 's99'; there are: other, tiny",
    ),
    "unknown suite (no name)": (
        lambda: load(Request(""), "full"),
        "suite: which suite? there are: other, tiny",
    ),
    "unknown suite (file)": (
        lambda: load(Request("suites/s99.yaml"), "full"),
        "suite: there is no file suites/s99.yaml; suites by name: other, tiny",
    ),
    "device that is not there": (
        lambda: commands.plan(Request("tiny.yaml"), "tpu", Path("runs"), False),
        f"--device: 'tpu' is not to be had on this machine; usable: {usable()}",
    ),
    "bad number of jobs": (
        run_with(jobs="0"),
        "--jobs: '0' is neither a number of 1 or more nor auto",
    ),
    "bad number of jobs (word)": (
        run_with(jobs="many"),
        "--jobs: 'many' is neither a number of 1 or more nor auto",
    ),
    "bad number of jobs (superscript)": (
        run_with(jobs="²"),
        "--jobs: '²' is neither a number of 1 or more nor auto",
    ),
    "unknown executor": (
        run_with(executor="inlin"),
        "--executor: unknown executor 'inlin'; did you mean 'inline'?",
    ),
    "unknown comparison to show": (
        config_of(comparison="cnv"),
        "--comparison: there is no 'cnv'; did you mean 'conv'?",
    ),
    "unknown variant to show": (
        config_of(variant="dilatd"),
        "--variant: there is no 'dilatd'; did you mean 'dilated'?",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_said_of_a_command(name: str, here: Path) -> None:
    write(SUITE)
    (here / "suites").mkdir()
    for suite in ("tiny", "other"):
        write(SUITE.replace("tiny", suite), f"suites/{suite}.yaml")
    act, expected = COMMANDS[name]
    with pytest.raises(SuiteError) as caught:
        act()
    assert str(caught.value) == expected
    assert not Path("runs").exists()


def test_every_kind_of_mistake_has_a_case() -> None:
    cases = [name.partition(" (")[0] for name in [*CASES, *COMMANDS]]
    assert set(cases) == set(KINDS)
    assert len(KINDS) == len(set(KINDS))


@pytest.mark.usefixtures("here")
def test_the_suite_that_the_cases_change_is_sound() -> None:
    assert [len(comparison.rows) for comparison in checked()] == [2]


@pytest.mark.usefixtures("here")
def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]  # 2^59 items
    bomb = "a0: &a0 x\n" + "\n".join(lines)
    began = time.process_time()
    with pytest.raises(SuiteError) as caught:
        checked(bomb)
    assert time.process_time() - began < 0.5
    assert str(caught.value).startswith(
        verbatim("""
        tiny.yaml:1:5: anchors (&name) are refused; write the value alone
          1 | a0: &a0 x
            |     ^
        tiny.yaml:2:5: anchors (&name) are refused; write the value alone
          2 | a1: &a1 [*a0, *a0]
            |     ^
        tiny.yaml:2:10: aliases (*name) are refused; write the value out, or name a variant once under `variants:`
          2 | a1: &a1 [*a0, *a0]
            |          ^
        """)
    )
    assert len(caught.value.problems) == MOST_SHOWN


def test_no_more_mistakes_are_shown_than_can_be_read() -> None:
    problems = [Problem(f"--option{number:02}", "is wrong") for number in range(MOST_SHOWN + 3)]
    lines = str(SuiteError("tiny.yaml", "", problems)).splitlines()
    assert lines[MOST_SHOWN - 1 :] == [f"--option{MOST_SHOWN - 1}: is wrong", "… and 3 more"]


@pytest.mark.usefixtures("here")
def test_a_mark_of_the_byte_order_moves_no_column() -> None:
    with pytest.raises(SuiteError) as caught:
        checked(b"\xef\xbb\xbf" + changed(("id: tiny", "id: small")).encode())
    assert str(caught.value) == verbatim("""
        tiny.yaml:1:5: the id 'small' is not the file's name; name the file small.yaml
          1 | id: small
            |     ^
        """)


@pytest.mark.usefixtures("here")
def test_lines_may_end_as_on_windows() -> None:
    with pytest.raises(SuiteError) as caught:
        checked(changed(("seeds: 2", "seeds: -2")).replace("\n", "\r\n"))
    assert str(caught.value) == verbatim("""
        tiny.yaml:9:8: seeds should be at least 0, not -2
          9 | seeds: -2
            |        ^
        """)


def test_a_file_that_is_too_large_is_not_read(here: Path) -> None:
    with pytest.raises(SuiteError) as caught:
        checked("#" * 1_000_001)
    assert str(caught.value) == "tiny.yaml: is larger than 1,000,000 bytes; no suite is"


def test_a_folder_is_no_suite(here: Path) -> None:
    (here / "tiny.yaml").mkdir()
    with pytest.raises(SuiteError) as caught:
        load(Request("tiny.yaml"), "full")
    assert str(caught.value) == (
        "suite: there is no file tiny.yaml; suites by name: " + ", ".join(available())
    )


@pytest.mark.usefixtures("here")
def test_a_metric_that_no_trial_measures() -> None:
    trials = [m for m in catalog.names("metrics") if catalog.load("metrics", m).KIND == "trial"]
    with pytest.raises(SuiteError) as caught:
        checked(changed(add="    metric: params\n"))
    assert str(caught.value) == verbatim(f"""
        tiny.yaml:17:13: 'params' is a fact of the network, which no trial measures; a comparison is read by one of: {", ".join(trials)} (a claim may be about any metric)
          17 |     metric: params
             |             ^
        """)


@pytest.mark.usefixtures("here")
def test_a_comparison_without_anything_takes_its_claims_along() -> None:
    claim = "comparisons: [{id: x, claims: [{note: 'B:8'}]}]"
    with pytest.raises(SuiteError) as caught:
        checked(f"id: tiny\ntitle: T\nquestion: Q\n{claim}\n".encode())
    said = [line for line in str(caught.value).splitlines() if line.startswith("tiny.yaml:4:")]
    assert [line.partition(": ")[2].split(",")[0] for line in said] == [
        "the comparison has no 'title'",
        "the comparison has no 'baseline'",
        "the comparison has no 'variants'",
        "a claim needs its kind: order",
    ]
