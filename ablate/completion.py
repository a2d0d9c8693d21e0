"""What the shell offers after TAB: suites, profiles, and the dotted keys of settings.

Click asks for it where its `_ABLATE_COMPLETE` variable is set; nothing is built or trained to
answer, and where a suite file cannot be read nothing is offered and nothing said.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

from ablate import catalog, study
from ablate.suite import schema
from ablate.suite.load import available, find
from ablate.suite.source import SuiteError, parse


def suites(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the suites by name, and files."""
    named = [CompletionItem(name) for name in available() if name.startswith(begun)]
    files = [CompletionItem(begun, type="file")] if begun and not named else []
    return named or files


def studied(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the suites that were run."""
    runs = Path(context.params.get("runs") or "runs")
    return [CompletionItem(name) for name in study.suites(runs) if name.startswith(begun)]


def profiles(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the profiles of the suite that was typed before."""
    known = {"full", *(_content(context).get("profiles") or ())}
    return [CompletionItem(name) for name in sorted(known) if name.startswith(begun)]


def data(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the data sets."""
    names = [f"{name}:" if name == "folder" else name for name in catalog.names("data")]
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def settings(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the dotted keys of settings, `recipe.epochs=`, those that the suite itself sets too."""
    known = {f"recipe.{name}" for name in schema.Recipe.model_fields}
    known |= set(_said(_content(context)))
    return [CompletionItem(f"{key}=") for key in sorted(known) if key.startswith(begun)]


def executors(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
    """Offer the executors."""
    return [CompletionItem(name) for name in catalog.names("execute") if name.startswith(begun)]


def _content(context: Context) -> dict[str, Any]:
    """Return what the file of the suite on the command line says, {} where it says nothing."""
    with contextlib.suppress(SuiteError, OSError):
        # Behind an option that waits for its value, click has not sorted the words out.
        words = [context.params.get("suite"), *context.args]
        path = find(next(filter(None, words), ""))
        found = parse(path, str(path)).data
        return found if isinstance(found, dict) else {}
    return {}


def _said(content: dict[str, Any]) -> Iterator[str]:
    """Yield the keys that a suite sets in its base, and those by which its variants differ."""
    comparisons = content.get("comparisons")
    parts = [content, *(comparisons if isinstance(comparisons, list) else [])]
    for part in parts:
        if not isinstance(part, dict):
            continue
        base = part.get("base")
        for name, options in base.items() if isinstance(base, dict) else ():
            if isinstance(options, dict):
                yield from (f"{name}.{key}" for key in options)
        variants = part.get("variants")
        for changes in variants.values() if isinstance(variants, dict) else ():
            if isinstance(changes, dict):
                yield from map(str, changes)
