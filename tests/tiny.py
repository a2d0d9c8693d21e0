"""A suite that trains in a moment, and ways to change it. Needs the fixture `here`."""

from pathlib import Path
from typing import Any

from ablate.suite.load import Loaded, load
from ablate.suite.preflight import Checked, check
from ablate.suite.request import Request

SUITE = """\
id: tiny
title: A tiny suite
question: Does the kind of convolution matter?
base:
  task: classify
  data: {name: folder, path: images}
  network: {family: staged, stages: [[4], [8]]}
  recipe: {epochs: 1, batch_size: 4}
seeds: 2
comparisons:
  - id: conv
    title: Normal or dilated?
    baseline: normal
    variants:
      normal: {}
      dilated: {network.conv: dilated}
"""


def changed(*pairs: tuple[str, str], add: str = "") -> str:
    """Return the suite with some of its text replaced, and more text at its end."""
    text = SUITE
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the suite"
        text = text.replace(old, new)
    return text + add


def without(*parts: str) -> str:
    """Return the suite without some of its text."""
    return changed(*((part, "") for part in parts))


def write(text: str | bytes, name: str = "tiny.yaml") -> Path:
    """Write a suite file into the working directory."""
    path = Path(name)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def loaded(text: str | bytes = SUITE, *, default: str = "full", **request: Any) -> Loaded:
    """Load a suite; `default` is the profile to run where the request names none."""
    return load(Request(str(write(text)), **request), default)


def checked(text: str | bytes = SUITE, *, default: str = "full", **request: Any) -> list[Checked]:
    """Load a suite and build all its networks."""
    return check(loaded(text, default=default, **request))
