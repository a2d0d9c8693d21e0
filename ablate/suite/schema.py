"""What a suite file may say.

Values that describe an experiment (`base`, a variant, a profile) are *differences*: mappings from
dotted paths to values, applied one over the other by `resolve.py`. They are held here as written;
the configuration that results is validated there, against the options of the blocks it names.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
)

from ablate.components import Component, Network, Task
from ablate.suite import dotted
from ablate.suite.claims import Claim

PARTS = ("task", "data", "network", "recipe")


class Strict(BaseModel):
    """Refuses unknown keys and changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


# --- configuration: what one trial is given -------------------------------------------------------


class Data(Component):
    """A data set and how much of it is used. Options of the data set itself stand beside these."""

    room: ClassVar[str] = "data"
    key: ClassVar[str] = "name"

    name: str
    fallback: str | None = None  # the data set to use where this one cannot be had
    train_images: PositiveInt | None = None  # a subset, drawn anew for each seed; None: all
    validation_images: int = Field(0, ge=0)  # held out of training; 0: none
    test_images: PositiveInt | None = None  # the first ones of a fixed permutation; None: all


class Recipe(Strict):
    """How a network is trained."""

    optimizer: Literal["sgd"] = "sgd"  # with Nesterov momentum
    lr: PositiveFloat = 0.1  # peak learning rate
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    # Parameters that weight decay leaves alone; "depthwise" are filters with one input channel,
    # on which decay works against the few weights there are (Howard et al. 2017, section 3.2).
    no_decay: list[Literal["norm", "bias", "depthwise"]] = ["norm", "bias", "depthwise"]
    schedule: Literal["onecycle", "constant"] = "onecycle"  # Smith and Topin 2019, arXiv 1708.07120
    warmup: float = Field(0.3, gt=0, lt=1)  # share of the steps in which the rate rises
    epochs: PositiveInt = 16
    batch_size: PositiveInt = 128
    augment: list[Literal["crop", "flip"]] = ["crop", "flip"]  # shift by up to 4 pixels; mirror
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: PositiveInt = 1  # of a CPU trial; part of its identity, since it changes rounding


class Config(Strict):
    """One trial's configuration: what is predicted, from what, by which network, trained how."""

    task: Task
    data: Data
    network: Network
    recipe: Recipe = Recipe()


# --- parts of a suite -----------------------------------------------------------------------------

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError(
            f"{text!r} is no id; use lower-case letters, digits and single hyphens, for example "
            "s7-quick (it becomes a file name, a page anchor and a LaTeX label)"
        )
    return text


def _path(text: str) -> str:
    steps = dotted.parse(text)
    if steps[0] not in PARTS:
        from ablate.catalog import suggest

        raise ValueError(
            f"unknown key {steps[0]!r}; {suggest(str(steps[0]), PARTS)} (a setting's path begins "
            "with task, data, network or recipe)"
        )
    return text


def _percent(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"([\d.]+)\s*%", value)):
        return float(match[1]) / 100
    return value


def _match(value: Any) -> Any:
    return (
        {"kind": value}
        if isinstance(value, str)
        else (
            {"kind": next(iter(value)), "tolerance": next(iter(value.values()))}
            if isinstance(value, dict) and len(value) == 1 and "kind" not in value
            else value
        )
    )


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Id = Annotated[str, AfterValidator(_id)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _+.-]*$", max_length=60)]
Path = Annotated[str, AfterValidator(_path)]
Difference = dict[Path, Any]


class Match(Strict):
    """What is made equal to the baseline: nothing (a drop-in), parameters or MACs."""

    kind: Literal["none", "params", "macs"]
    tolerance: Annotated[float, BeforeValidator(_percent), Field(gt=0, lt=0.5)] = 0.02


class Until(Strict):
    """Seeds are added until every interval's half-width is at most `until`."""

    until: PositiveFloat
    at_most: int = Field(ge=5)


def _distinct(seeds: list[int]) -> list[int]:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"seed {', '.join(map(str, twice))} is given twice; a seed counts once")
    return seeds


SeedList = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), AfterValidator(_distinct)
]


def _seeds_form(value: Any) -> str:
    if isinstance(value, dict | Until):
        return "a rule"
    return "a list" if isinstance(value, list) else "a count"


Seeds = Annotated[
    Annotated[PositiveInt, Field(le=10_000, strict=True), Tag("a count")]
    | Annotated[SeedList, Tag("a list")]
    | Annotated[Until, Tag("a rule")],
    Discriminator(_seeds_form),
]


class Source(Strict):
    """Where the claims come from."""

    note: str
    title: str
    url: str | None = None


class Requirement(BaseModel):
    """What one variant must reach, e.g. `params: {below: 1_000_000}`; keys are metrics."""

    model_config = ConfigDict(extra="allow", frozen=True)

    __pydantic_extra__: dict[str, "Bound"]
    variant: Name
    uses: list[str] = []  # kinds of layers that the built network must hold


class Bound(Strict):
    """One side of a requirement."""

    below: float | None = None
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None


# A variant is its difference from the base, written here or named among the suite's variants.
Variant = Annotated[
    Annotated[Difference, Tag("a difference")] | Annotated[Name, Tag("a name")],
    Discriminator(lambda value: "a name" if isinstance(value, str) else "a difference"),
]


class Profile(BaseModel):
    """A way to run the same suite: fewer seeds, a narrower network, a subset of the images.

    Besides the keys below it is a difference: any dotted path may stand in it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    __pydantic_extra__: Difference
    seeds: Seeds | None = None
    comparisons: list[Id] | None = None  # only these; None: all

    @property
    def difference(self) -> dict[str, Any]:
        """The settings among the keys."""
        return dict(self.__pydantic_extra__)


class Comparison(Strict):
    """One factor: its variants, matched as declared, and the claims about them."""

    id: Id
    title: str
    base: Difference = {}
    baseline: Name
    variants: dict[Name, Variant]
    match: Annotated[
        list[Annotated[Match, BeforeValidator(_match)]], BeforeValidator(_one_or_more)
    ] = [Match(kind="none")]
    metric: str | None = None  # by which it is read; None: the task's primary metric
    margin: float | None = Field(None, ge=0)  # smallest difference that matters; None: the task's
    profiles: dict[Name, Difference] = {}  # what a profile changes in this comparison alone
    claims: list[Claim] = []


class Suite(Strict):
    """A suite file."""

    id: Id
    title: str
    question: str
    source: Source | None = None
    plugins: list[str] = []  # Python files beside the suite that add blocks, data sets, …
    base: Difference = {}
    seeds: Seeds = 5
    variants: dict[Name, Difference] = {}
    comparisons: list[Comparison] = Field(min_length=1)
    requirements: list[Requirement] = []
    profiles: dict[Name, Profile] = {}
