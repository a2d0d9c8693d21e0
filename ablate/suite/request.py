"""What the command line adds to a suite: profile, data, seeds and settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablate import catalog
from ablate.suite import schema
from ablate.suite.resolve import Layer, named, override, words
from ablate.suite.schema import Seeds, Suite, Until
from ablate.suite.source import Problem


@dataclass(frozen=True)
class Request:
    """What the user asked for on the command line. None: not said."""

    suite: str  # a name in `suites/`, or the path of a YAML file
    profile: str | None = None
    data: str | None = None  # a data set's name, or folder:PATH
    seeds: str | None = None  # "5", "0,3,7" or "0-4"
    overrides: tuple[str, ...] = ()
    control: int | None = None  # further seeds of every baseline, to be held against itself

    @property
    def typed(self) -> list[str]:
        """What changes the suite, as it was typed: for the study."""
        typed = [f"--data {self.data}"] if self.data else []
        typed += [f"--seeds {self.seeds}"] if self.seeds else []
        typed += [f"--control {self.control}"] if self.control is not None else []
        return [*typed, *self.overrides]


@dataclass(frozen=True)
class Applied:
    """What a request means for a suite."""

    profile: str
    layers: list[Layer]
    seeds: Seeds | None  # None: not said
    problems: list[Problem]


def apply(request: Request, suite: Suite, default_profile: str) -> Applied:
    """Return profile, settings and seeds, and what is wrong with the arguments."""
    problems: list[Problem] = []
    known = sorted({*suite.profiles, "full"})
    profile = request.profile or (default_profile if default_profile in known else "full")
    if profile not in known:
        hint = catalog.suggest(profile, known)
        problems.append(Problem("--profile", f"unknown profile {profile!r}; {hint}"))
        profile = "full"
    layers: list[Layer] = []
    if request.data is not None:
        name, colon, path = request.data.partition(":")
        if name not in catalog.names("data"):
            hint = catalog.suggest(name, catalog.names("data"))
            problems.append(Problem("--data", f"unknown data set {name!r}; {hint}"))
        elif colon and name != "folder":
            problems.append(Problem("--data", f"{name} takes no path; write --data {name}"))
        elif name == "folder" and not path:
            problems.append(Problem("--data", "which folder? write --data folder:PATH"))
        else:
            chosen = {"name": name} | ({"path": str(Path(path).expanduser())} if path else {})
            layers.append(Layer("--data", {"data": chosen}))
    settings: dict[str, Any] = {}
    for text in request.overrides:
        try:
            key, value = override(text)
            if key != "seeds":
                schema.setting(key)
        except ValueError as error:
            problems.append(Problem("command line", str(error)))
            continue
        if key in settings or (key == "seeds" and request.seeds is not None):
            problems.append(Problem("command line", f"{key} is given twice; give it once"))
        settings[key] = value
    wanted: Any = None
    if "seeds" in settings or request.seeds is not None:
        wanted = settings.pop("seeds", None) if request.seeds is None else request.seeds
        try:
            wanted = _Seeds.model_validate({"seeds": _seed_words(wanted)}).seeds
        except ValueError as error:
            text = str(error)
            if isinstance(error, ValidationError):
                first = error.errors()[0]
                index = [step for step in first["loc"] if isinstance(step, int)]
                text = named(("seeds", *index), words(first, Until.model_fields))
            where = "command line" if request.seeds is None else "--seeds"
            problems.append(Problem(where, text))
            wanted = 1
    layers.append(Layer("command line", settings))
    return Applied(profile, layers, wanted, problems)


class _Seeds(schema.Strict):
    seeds: schema.Seeds


def _seed_words(written: Any) -> Any:
    """Read `5` (so many), `0,3,7` (these) and `0-4` (from … to)."""
    if not isinstance(written, str):
        return written
    text = written.strip()
    try:
        if text.startswith("{") or text.startswith("["):
            return override(f"seeds={text}")[1]
        if "," in text:
            return [int(part) for part in text.split(",")]
        first, dash, last = text.partition("-")
        if not dash or not first:  # -3 is a count, and a wrong one
            return int(text)
        if int(first) <= int(last) < int(first) + schema.MOST_SEEDS:
            return list(range(int(first), int(last) + 1))
    except ValueError:
        raise ValueError(
            f"{written!r} is neither a count (5), a list (0,3,7) nor a range (0-4)"
        ) from None
    raise ValueError(
        f"{written!r} is no range of 1 to {schema.MOST_SEEDS:,} seeds; write for example 0-4"
    )
