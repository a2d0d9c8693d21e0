"""What a suite file may say.

Values that describe an experiment (`base`, a variant, a profile) are *differences*: mappings from
dotted paths to values, applied one over the other by `resolve.py`. They are held here as written;
the configuration that results is validated there, against the options of the blocks it names.
"""

import difflib
import re
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from ablate.catalog import suggest
from ablate.components import Component, Network, Task
from ablate.suite import dotted, tune
from ablate.suite.claims import Claim

PARTS = ("task", "data", "network", "recipe")
MATCHES = ("none", "params", "macs", "compute")
MOST_SEEDS = 10_000


class Strict(BaseModel):
    """Refuses unknown keys, values of another type (`true` for 1) and changes after validation."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False
    )


# --- configuration: what one trial is given -------------------------------------------------------


class Data(Component):
    """A data set and how much of it is used. Options of the data set itself stand beside these."""

    model_config = ConfigDict(strict=True)

    room: ClassVar[str] = "data"
    key: ClassVar[str] = "name"

    name: str
    fallback: str | None = None  # the data set to use where this one cannot be had
    train_images: PositiveInt | None = None  # a subset, drawn anew for each seed; None: all
    validation_images: int = Field(0, ge=0)  # held out of training, unless the set has a split
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
    # Shift by up to 4 pixels; mirror; cut a square of half the side out.
    augment: list[Literal["crop", "flip", "cutout"]] = ["crop", "flip"]
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: PositiveInt = 1  # of a CPU trial; part of its identity, since it changes rounding
    exact: bool = False  # deterministic kernels on a GPU too: the same bytes again, more slowly
    # Strength of a penalty on the sum of the absolute values of what weight decay applies to.
    l1: float = Field(0.0, ge=0)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an option that came later out where it is not used: what was trained before it
        keeps its id."""
        values: dict[str, Any] = handler(self)
        if not self.l1:
            values.pop("l1", None)
        return values


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


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _+.-]*", text):
        raise ValueError(
            f"{text!r} is no name; it begins with a letter or digit and goes on with these, "
            "spaces and _ + . -"
        )
    return text


def setting(text: str) -> str:
    """Return the path of a setting as it is.

    Raises:
        ValueError: it is no path, or begins with none of a configuration's parts.
    """
    root = str(dotted.parse(text)[0])
    if root in PARTS:
        return text
    hint = f"a setting's path begins with {', '.join(PARTS[:-1])} or {PARTS[-1]}"
    fields = [*PARTS, *Recipe.model_fields]
    near = difflib.get_close_matches(root, fields, n=1)
    if near:
        meant = text.replace(root, near[0] if near[0] in PARTS else f"recipe.{near[0]}", 1)
        hint = f"did you mean {meant!r}? ({hint})"
    raise ValueError(f"unknown key {text!r}; {hint}")


def _percent(value: Any) -> Any:
    if isinstance(value, str) and (match := re.fullmatch(r"([\d.]+)\s*%", value)):
        return float(match[1]) / 100
    return value


def _tolerance(value: float) -> float:
    if not 0 < value < 0.5:
        shown = f"{100 * value:g}%"
        raise ValueError(f"a tolerance is more than 0% and less than 50%, not {shown}; write 2%")
    return value


def _match(value: Any) -> Any:
    kinds = [] if not isinstance(value, dict) else [key for key in value if key != "knob"]
    if len(kinds) > 1 and set(kinds) <= set(MATCHES):
        several = ", ".join(f"{{{kind}: {value[kind]}}}" for kind in kinds)
        raise ValueError(f"a match is of one kind; write [{several}] for rows of each")
    if len(kinds) == 1 and kinds != ["kind"]:  # the tolerance, under the kind's name
        others = {key: value[key] for key in value if key not in kinds}
        written = {"kind": kinds[0], "tolerance": value[kinds[0]], **others}
    elif isinstance(value, str):
        written = {"kind": value}
    else:
        return value
    if written["kind"] not in MATCHES:
        raise ValueError(f"unknown match {written['kind']!r}; {suggest(written['kind'], MATCHES)}")
    return written


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _named_once(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice; give each metric once")
    return names


def _each_once(matches: "list[Match]") -> "list[Match]":
    kinds = [match.kind for match in matches]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is given twice; give each match once")
    return matches


Count = Annotated[int, Field(gt=0, le=MOST_SEEDS)]
Id = Annotated[str, AfterValidator(_id)]
Name = Annotated[str, Field(max_length=60), AfterValidator(_name)]
Path = Annotated[str, AfterValidator(setting)]
Difference = dict[Path, Any]
Readings = Annotated[list[str], AfterValidator(_named_once)]


def _knob(text: str) -> str:
    if dotted.parse(text)[0] != "network" or len(dotted.parse(text)) == 1:
        raise ValueError(
            f"{text!r} is no number of the network; write for example network.conv.ratio"
        )
    return text


class Match(Strict):
    """What is made equal to the baseline's: nothing (a drop-in), or a budget.

    Parameters and MACs are matched by a number of the network, training compute by the epochs.
    """

    kind: Literal["none", "params", "macs", "compute"]
    tolerance: Annotated[float, BeforeValidator(_percent), AfterValidator(_tolerance)] = 0.02
    knob: Annotated[str, AfterValidator(_knob)] | None = None  # None: the network's width

    @model_validator(mode="after")
    def _solvable(self) -> Self:
        if self.knob is not None and self.kind not in ("params", "macs"):
            matched = "by epochs" if self.kind == "compute" else "by nothing"
            raise ValueError(
                f"{self.kind} is matched {matched}; a knob is for params and macs, leave it out"
            )
        return self


Matches = Annotated[
    list[Annotated[Match, BeforeValidator(_match)]],
    BeforeValidator(_one_or_more),
    AfterValidator(_each_once),
]


def _budgets(value: Any) -> Any:
    """Read `[0.5, 1, 2]` (of the parameters) and `{macs: [0.5, 1, 2]}`."""
    if isinstance(value, Budgets):
        return value
    written = {"params": value} if isinstance(value, list) else value
    example = "write for example [0.5, 0.7, 1, 1.4] or {macs: [0.5, 1, 2]}"
    if not isinstance(written, dict) or len(written) != 1:
        raise ValueError(f"budgets are multiples of the baseline's; {example}")
    ((kind, factors),) = written.items()
    if kind not in ("params", "macs"):
        raise ValueError(f"unknown budget {kind!r}; {suggest(str(kind), ['params', 'macs'])}")
    if not isinstance(factors, list):
        raise ValueError(f"{factors!r} is no list of budgets; {example}")
    for at, factor in enumerate(factors):
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if not is_number or not 0 < factor < float("inf"):
            raise ValueError(
                f"{factor!r} is no budget; a budget is a multiple of the baseline's, above 0"
            )
        if factor in factors[:at]:
            raise ValueError(f"{factor:g} is given twice; give each budget once")
    if 0 < len(factors) < 3:
        few = "one budget gives" if len(factors) == 1 else "two budgets give"
        raise ValueError(f"{few} no curve; give three or more, or [] for none")
    return {"kind": kind, "factors": factors}


class Budgets(Strict):
    """Multiples of the baseline's budget at which every variant is trained besides."""

    kind: Literal["params", "macs"]
    factors: list[float]  # none, or three and more


class Until(Strict):
    """Seeds are added until every interval's half-width is at most `until`."""

    until: PositiveFloat
    at_most: int = Field(ge=5)


class Shares(BaseModel):
    """Seeds that are shared out unevenly; keys beside these are variants of a comparison."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    __pydantic_extra__: dict[Name, Count]
    each: Count | None = None
    baseline: Count | None = None

    @property
    def variants(self) -> dict[str, int]:
        """The seeds of the variants that are named."""
        return dict(self.__pydantic_extra__)


# None: what is compared is measured and not trained.
CountOrNone = Annotated[int, Field(ge=0, le=MOST_SEEDS)]


def _distinct(seeds: list[int]) -> list[int]:
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ValueError(f"seed {', '.join(map(str, twice))} is given twice; a seed counts once")
    return seeds


SeedList = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), AfterValidator(_distinct)
]


def _seeds_form(value: Any) -> str:
    if isinstance(value, Shares) or (isinstance(value, dict) and {"each", "baseline"} & set(value)):
        return "shares"
    if isinstance(value, dict | Until):
        return "a rule"
    return "a list" if isinstance(value, list) else "a count"


def _some_form(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | list | dict | Until | Shares):
        shown = {None: "nothing", True: "true", False: "false"}.get(value, repr(value))
        raise ValueError(
            f"{shown} gives no seeds; write a count (5), a list ([0, 3, 7]) or a rule "
            "({until: 0.3, at_most: 20})"
        )
    return value


Seeds = Annotated[
    Annotated[CountOrNone, Tag("a count")]
    | Annotated[SeedList, Tag("a list")]
    | Annotated[Until, Tag("a rule")]
    | Annotated[Shares, Tag("shares")],
    Discriminator(_seeds_form),
    BeforeValidator(_some_form),
]


def _own_form(value: Any) -> Any:
    if isinstance(value, dict) and {"until", "at_most"} & set(value):
        raise ValueError(
            "seeds are added by a rule for a whole suite or profile only; "
            "write a count (5), a list ([0, 3, 7]) or counts by variant ({baseline: 8})"
        )
    return _some_form(value)


# Of one comparison: a mapping names its variants.
OwnSeeds = Annotated[
    Annotated[CountOrNone, Tag("a count")]
    | Annotated[SeedList, Tag("a list")]
    | Annotated[Shares, Tag("shares")],
    Discriminator(lambda value: "shares" if isinstance(value, dict) else _seeds_form(value)),
    BeforeValidator(_own_form),
]


def _share(value: object) -> object:
    """Accept `2%` beside 0.02."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?\s*%", value):
        return float(value.rstrip("% ")) / 100
    return value


def _tuned(text: str) -> str:
    near = difflib.get_close_matches(text, ("random", "trials", "seed", "seeds"), n=1)
    if near:
        raise ValueError(f"unknown key {text!r}; did you mean {near[0]!r}?")
    path = dotted.parse(setting(text))
    if path[0] not in ("recipe", "network") or len(path) == 1:
        raise ValueError(
            f"{text!r} is not for tuning: all rows are trained and judged on the same; tune "
            "settings of the recipe or the network, for example recipe.lr"
        )
    return text


def _tried(value: Any) -> Any:
    """Refuse what is no list of different values."""
    if not isinstance(value, list) or not value:
        shown = {"[]": "an empty list", "None": "nothing"}.get(str(value), repr(value))
        ranged = " (a range stands under `random:`)" if isinstance(value, dict) else ""
        raise ValueError(
            f"{shown} gives no values to try{ranged}; write for example [0.02, 0.05, 0.1]"
        )
    twice = [item for at, item in enumerate(value) if item in value[:at]]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice; give each value once")
    return value


def _range_form(value: Any) -> str:
    return "a range" if isinstance(value, dict | Range) else "a list"


class Range(Strict):
    """Numbers from which random search draws."""

    low: float
    high: float
    log: bool = False  # uniform in the logarithm: as many below 0.1 as above in 0.01…1

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.low >= self.high:
            raise ValueError(
                f"there is nothing from {self.low:g} to {self.high:g}; low is below high"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"{self.low:g} has no logarithm; with log: true, low is more than 0")
        return self


Tried = Annotated[list[Any], BeforeValidator(_tried)]
Tuned = Annotated[str, AfterValidator(_tuned)]


class Tune(BaseModel):
    """Settings that are chosen anew for every row, each among the same cells.

    Keys beside these are settings with the values of a grid. Rows are judged on the validation
    split at the last epoch; test images are not looked at.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    __pydantic_extra__: dict[str, Tried]
    # In place of a grid: of each setting a list of values or a range, to draw `trials` cells from.
    random: (
        dict[
            Tuned,
            Annotated[
                Annotated[Tried, Tag("a list")] | Annotated[Range, Tag("a range")],
                Discriminator(_range_form),
            ],
        ]
        | None
    ) = None
    trials: Count | None = None
    seed: int = 0  # of the draws
    seeds: Annotated[int, Field(gt=0, le=100)] = 1  # of each cell; they are no seeds of the rows

    @model_validator(mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        """Refuse a key that is none before its value, of which it decides what is expected."""
        for key in value if isinstance(value, dict) else ():
            if key not in cls.model_fields:
                _tuned(str(key))
        return value

    @model_validator(mode="after")
    def _some_choice(self) -> Self:
        if bool(self.random) == bool(self.__pydantic_extra__):
            said = "both a grid and random search" if self.random else "nothing"
            raise ValueError(
                f"this tunes {said}; write a grid {{recipe.lr: [0.02, 0.05, 0.1]}} or "
                "{random: {recipe.lr: {low: 0.01, high: 0.5, log: true}}, trials: 8}"
            )
        if (self.trials is None) == (self.random is not None):
            said = "a number of `trials` is for" if self.trials else "`trials` says how many cells"
            raise ValueError(f"{said} random search{' draws; add it' if self.random else ''}")
        if both := tune.overlapping(self.paths):
            raise ValueError(f"{both[0]} and {both[1]} are parts of one setting; tune one of them")
        if len(self.cells) < 2:
            raise ValueError("one cell is no choice; give two values or more")
        return self

    @property
    def paths(self) -> list[str]:
        """The settings that are tuned."""
        return list(self.random or self.__pydantic_extra__ or {})

    @cached_property
    def cells(self) -> list[tune.Cell]:
        """What is tried out for every row, in order."""
        if self.random is None:
            return tune.grid(self.__pydantic_extra__ or {})
        return tune.drawn(self.random, self.trials or 0, self.seed)

    @property
    def tuning_seeds(self) -> list[int]:
        """The seeds of each cell."""
        return list(range(tune.FIRST_SEED, tune.FIRST_SEED + self.seeds))


class Latency(Strict):
    """How latency is measured, in a pass of its own after training."""

    batches: list[PositiveInt] = Field([1, 64], min_length=1)
    precisions: list[Literal["fp32", "bf16"]] = Field(["fp32"], min_length=1)
    memory_formats: list[Literal["channels_last", "contiguous"]] = Field(
        ["channels_last"], min_length=1
    )
    modes: list[Literal["eager", "compiled"]] = Field(["eager"], min_length=1)
    phases: list[Literal["inference", "training_step"]] = Field(["inference"], min_length=1)
    threads: PositiveInt = 1
    processes: PositiveInt = 3  # each measures everything; from 5 on it may be cited
    rounds: int = Field(10, ge=3)  # turns through all variants, in each process
    # The smallest difference that matters, as a share; the A/A control must come out below it.
    margin: Annotated[float, BeforeValidator(_share), Field(gt=0, lt=1)] = 0.02


class Memory(Strict):
    """How peak memory is measured: each network in a process of its own."""

    batches: list[PositiveInt] = Field([64], min_length=1)
    precisions: list[Literal["fp32", "bf16"]] = Field(["fp32"], min_length=1)
    phases: list[Literal["inference", "training_step"]] = Field(
        ["inference", "training_step"], min_length=1
    )
    threads: PositiveInt = 1
    rounds: int = Field(3, ge=1)  # repetitions in the process


class Source(Strict):
    """Where the claims come from."""

    note: str
    title: str
    url: str | None = None


class Bound(Strict):
    """One side of a requirement, or both."""

    below: float | None = None
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("a bound needs a number: below, above, at_least or at_most")
        return self


class Requirement(BaseModel):
    """What one variant must reach, e.g. `params: {below: 1_000_000}`; keys are metrics."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    __pydantic_extra__: dict[str, Bound]
    variant: Name
    uses: list[str] = []  # kinds of layers that the built network must hold


# A variant is its difference from the base, written here or named among the suite's variants.
Variant = Annotated[
    Annotated[Difference, Tag("a difference")] | Annotated[Name, Tag("a name")],
    Discriminator(lambda value: "a name" if isinstance(value, str) else "a difference"),
]


class Profile(BaseModel):
    """A way to run the same suite: fewer seeds, a narrower network, a subset of the images.

    Besides the keys below it is a difference: any dotted path may stand in it.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    __pydantic_extra__: Difference
    seeds: Seeds | None = None
    control: Count | None = None  # in place of the suite's
    comparisons: list[Id] | None = None  # only these; None: all
    latency: Latency | None = None
    memory: Memory | None = None

    @property
    def difference(self) -> dict[str, Any]:
        """The settings among the keys."""
        return dict(self.__pydantic_extra__)


class OwnProfile(BaseModel):
    """What a profile changes in one comparison: a difference, as in `Profile`, and these."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    __pydantic_extra__: Difference
    seeds: OwnSeeds | None = None
    control: Count | None = None  # in place of the comparison's
    variants: list[Name] | None = None  # only these; None: all
    match: Matches | None = None  # in place of the comparison's
    readings: Readings | None = None  # in place of the comparison's
    spread: PositiveFloat | None = None  # in place of the comparison's
    # In place of the comparison's.
    budgets: Annotated[Budgets, BeforeValidator(_budgets)] | None = None
    tune: Tune | None = None  # in place of the comparison's
    latency: Latency | None = None  # in place of the comparison's
    memory: Memory | None = None  # in place of the comparison's

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
    match: Matches = [Match(kind="none")]
    against: dict[Name, Name] = {}  # what a variant is compared with in place of the baseline
    metric: str | None = None  # by which it is read; None: the task's primary metric
    margin: float | None = Field(None, ge=0)  # smallest difference that matters; None: the task's
    spread: PositiveFloat | None = None  # of the metric over seeds (sd), for what a plan foretells
    seeds: OwnSeeds | None = None
    paired: bool = False  # intervals are of differences by seed; takes equal shapes of parameters
    control: Count | None = None  # in place of the suite's
    readings: Readings = []  # metrics of the weights, before and after training
    budgets: Annotated[Budgets, BeforeValidator(_budgets)] | None = None  # for what is saved
    tune: Tune | None = None  # settings that are chosen for every row on the validation split
    latency: Latency | None = None  # in place of the suite's
    memory: Memory | None = None  # in place of the suite's
    profiles: dict[Name, OwnProfile] = {}  # what a profile changes in this comparison alone
    claims: list[Claim] = []

    def matches(self, profile: str) -> Matches:
        """Return what is made equal under a profile."""
        own = self.profiles.get(profile, OwnProfile()).match
        return self.match if own is None else own

    def trained_at(self, profile: str) -> Budgets | None:
        """Return the budgets at which variants are trained besides, None for no others."""
        own = self.profiles.get(profile, OwnProfile()).budgets
        found = self.budgets if own is None else own
        return found if found is not None and found.factors else None

    def tuned(self, profile: str) -> Tune | None:
        """Return what is tuned under a profile, None where nothing is."""
        own = self.profiles.get(profile, OwnProfile()).tune
        return self.tune if own is None else own

    def metrics_read(self, profile: str) -> list[str]:
        """Return the metrics that are read from weights under a profile, sorted."""
        own = self.profiles.get(profile, OwnProfile()).readings
        return sorted(self.readings if own is None else own)


class Suite(Strict):
    """A suite file."""

    id: Id
    title: str
    question: str
    source: Source | None = None
    notes: dict[Name, str] = {}  # titles of the notes whose lines claims cite: {A: Session 7}
    # The register that its claims are of: a file, from the suite's folder on, or `course`. None:
    # the course's, where most of the lines that they cite are rows of it.
    cites: str | None = None
    plugins: list[str] = []  # Python files beside the suite that add blocks, data sets, …
    base: Difference = {}
    seeds: Seeds = 5
    # Further seeds of each baseline, to be held against itself: the noise floor. None: none.
    control: Count | None = None
    latency: Latency | None = None  # None: it is not measured
    memory: Memory | None = None  # None: its peaks are not measured
    variants: dict[Name, Difference] = {}
    comparisons: list[Comparison] = Field(min_length=1)
    requirements: list[Requirement] = []
    profiles: dict[Name, Profile] = {}
