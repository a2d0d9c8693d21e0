"""The claim language: one model per kind of claim, told apart by `kind`.

A claim cites the line of the notes that makes it, says what is measured and fixes beforehand the
smallest difference that matters (`margin`). How each kind becomes a verdict is no part of the
schema; here claims are checked for form and carried into the study.
"""

import re
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def _reference(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]+:[A-Za-z0-9.-]+", text):
        raise ValueError(f"{text!r} is no reference; write a note and its line, for example A:113")
    return text


Reference = Annotated[str, AfterValidator(_reference)]  # a note and its line: "A:113"


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    note: Reference
    says: str  # the note's own words
    metric: str
    # None: every match, each for itself
    # "result": for the same value of what the comparison is read by, along its `budgets`.
    match: Literal["none", "params", "macs", "compute", "result"] | None = None
    primary: bool = False  # belongs to the family that multiplicity is corrected over
    device: Literal["cpu", "cuda", "mps"] | None = None
    at: dict[str, float | str] = {}  # where it is measured, e.g. {batch: 1}
    over: dict[str, Annotated[list[float | str], Field(min_length=2)]] = {}  # values swept
    # Notes and lines of claims that cannot hold where this one does; each is told of the other.
    contradicts: list[Reference] = []

    def variants(self) -> list[str]:
        """Return the names of the variants that the claim is about."""
        raise TypeError(f"{type(self).__name__} names no variants")

    @property
    def is_of_batches(self) -> bool:
        """Whether it is about times along batch sizes, which are measured and not swept."""
        is_trend = getattr(self, "kind", "") == "trend"
        return is_trend and self.metric == "latency" and list(self.over) == ["batch"]

    @model_serializer(mode="wrap")
    def _as_it_was(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later and is not set, so that a study asked again is the same."""
        found: dict[str, Any] = handler(self)
        return {k: v for k, v in found.items() if k not in _CAME_LATER or v not in ([], {})}


_CAME_LATER = ("contradicts", "within")

_RELATION = re.compile(r"\s*([^<>=]+?)\s*(<|>|=)\s*([^<>=]+?)\s*")
_RATIO = re.compile(r"\s*([^/]+?)\s*/\s*([^/]+?)\s*")


def _relation(text: str, signs: str) -> str:
    match = _RELATION.fullmatch(text)
    example = f"depthwise {signs[0]} normal"
    if match is None:
        raise ValueError(f"{text!r} is no relation; write for example `{example}`")
    if match[2] not in signs:
        which = " or ".join(signs)
        raise ValueError(f"a claim of this kind expects {which}; write for example `{example}`")
    names = [*_names(match[1]), *_names(match[3])]
    if "" in names:
        raise ValueError(f"{text!r} has a comma too many; write for example `{_SEVERAL}`")
    if len(names) > 2 and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{text!r} names {twice!r} twice; name each variant once")
    if names.count(ALL) and (len(names) > 2 or names == [ALL, ALL]):
        raise ValueError(
            f"{text!r}: `{ALL}` stands for every variant but one; write for example "
            f"`pixel_shuffle {signs[0]} {ALL}`"
        )
    return _two(text, match[1], match[3])


# In place of a metric: what two networks compute. Of equalities.
FUNCTION = "function"
RESULT = "result"  # the match of a claim on what is saved

ALL = "all"  # in an order or equivalence: every variant of the comparison but the one named
_SEVERAL = "strided, strided_4x4 < maxpool"


def _names(side: str) -> list[str]:
    """Return the variants that one side of a relation names, between commas."""
    return [name.strip() for name in side.split(",")]


def _ratio(text: str) -> str:
    match = _RATIO.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no ratio; write for example `normal/depthwise`")
    return _two(text, match[1], match[2])


def _two(text: str, one: str, other: str) -> str:
    if one == other:
        raise ValueError(f"{text!r} names one variant twice; a claim compares two")
    return text


def _margin(value: Any) -> Any:
    """Accept `2%` (of the baseline's value) beside a number in the metric's unit."""
    if isinstance(value, bool) or (
        isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?\s*%", value)
    ):
        raise ValueError(f"{value!r} is no margin; write a number in the metric's unit, or `2%`")
    if isinstance(value, int | float) and value < 0:
        raise ValueError("a margin is the smallest difference that matters; it cannot be negative")
    return value


_BYTES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, **_BYTES}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def _amount(value: Any) -> Any:
    """Accept `5 ms` and `64 MiB` beside a number in the metric's unit, all above zero."""
    match = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    sound = match is not None and match[2] in _UNITS and float(match[1]) > 0
    if isinstance(value, int | float) and not isinstance(value, bool):
        sound = value > 0
    if not sound:
        units = ", ".join(_UNITS)
        raise ValueError(
            f"{value!r} is no amount above zero; write a number, or one with a unit ({units}), for "
            "example 5 ms"
        )
    return value


def _scaled(text: str) -> float:
    match = _AMOUNT.fullmatch(text.strip())
    assert match is not None  # validated
    return float(match[1]) * _UNITS[match[2]]


Inequality = Annotated[str, AfterValidator(lambda text: _relation(text, "<>"))]
Equation = Annotated[str, AfterValidator(lambda text: _relation(text, "="))]
Ratio = Annotated[str, AfterValidator(_ratio)]
Margin = Annotated[float | str, BeforeValidator(_margin)]


class AtMost(BaseModel):
    """The most that a variant may cost to be compared at all, and at which setting it is told."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    at_most: Annotated[float | str, BeforeValidator(_amount)]
    at: dict[str, float | str] = {}

    @property
    def limit(self) -> float:
        """The limit in the metric's unit: seconds, bytes, or a count."""
        return _scaled(self.at_most) if isinstance(self.at_most, str) else self.at_most

    @property
    def unit(self) -> str:
        """The unit that it is written with: `s` of 5 ms, `B` of 64 MiB; "" of a bare number."""
        if not isinstance(self.at_most, str):
            return ""
        return "B" if self.at_most.endswith("B") else "s"


class Order(_Claim):
    """One variant has more or less of a metric than another, by at least the margin.

    Several may stand on a side, between commas: `strided, strided_4x4 < maxpool` says it of each,
    `pixel_shuffle > bilinear, nearest` that the first is the best of the three, and
    `pixel_shuffle > all` the same of all variants of the comparison. `within` keeps to those that
    cost no more: `{macs: {at_most: 40_000_000}}`, `{latency: {at_most: 5 ms, at: {batch: 1}}}`.

    =========  =================================================================================
    metric     a fact, what is trained, latency or a peak of memory
    direction  that of `expect`, whether or not more of the metric is better
    margin     in the metric's unit, or a share of what the baseline has; of latency a ratio - 1
    match      each of the comparison's for itself, or the one that `match` names
    at         of latency and peaks: batch, precision, …; each setting for itself
    over       of facts: each value for itself
    decided    by `decide.order`
    =========  =================================================================================
    """

    kind: Literal["order"]
    expect: Inequality
    margin: Margin
    within: dict[str, AtMost] = {}

    def variants(self) -> list[str]:
        return [name for side in self.sides() for name in side if name != ALL]

    def sides(self) -> tuple[list[str], list[str]]:
        """Return the variants to the left and to the right of the sign."""
        return _both(self.expect)

    @model_validator(mode="after")
    def _of_one(self) -> Self:
        _not_swept(self.over, self.sides(), self.within)
        several = [len(side) > 1 or side == [ALL] for side in self.sides()]
        if self.within and several not in ([True, False], [False, True]):
            raise ValueError(
                "`within` keeps one variant and those that it is compared with to a budget; write "
                "one on one side and several on the other, for example `pixel_shuffle > all`"
            )
        return self


class Equivalence(_Claim):
    """Two variants differ by less than the margin; with several on a side, every two do.

    =========  =================================================================================
    metric     a fact, what is trained, latency or a peak of memory
    direction  none
    margin     as of an order; the bounds are those of two one-sided tests
    match      as of an order; so are `at` and `over`
    decided    by `decide.equivalence`
    =========  =================================================================================
    """

    kind: Literal["equivalence"]
    expect: Equation
    margin: Margin

    @model_validator(mode="after")
    def _of_two(self) -> Self:
        _not_swept(self.over, self.sides(), {})
        return self

    def variants(self) -> list[str]:
        return [name for side in self.sides() for name in side if name != ALL]

    def sides(self) -> tuple[list[str], list[str]]:
        """Return the variants to the left and to the right of the sign."""
        return _both(self.expect)


class RatioClaim(_Claim):
    """A metric of one variant is so many times that of another.

    =========  =================================================================================
    metric     a fact, what is trained (the ratio of the means), latency or a peak of memory;
               `params.block` of the blocks in which the two differ (evidence/blocks.py)
    direction  that of `of`: the first over the second
    margin     none: `about` holds within `band`, a share of it; `at_least`, `at_most` as they are
    match      as of an order; so are `at` and `over`. `at: {layer: …}` names the part of a network
               that `params.block` is of
    decided    by `decide.about`, on logarithms
    =========  =================================================================================
    """

    kind: Literal["ratio"]
    of: Ratio
    about: float | None = Field(None, gt=0)
    at_least: float | None = Field(None, gt=0)
    at_most: float | None = Field(None, gt=0)
    band: float = Field(0.1, gt=0, lt=1)  # "about 8" holds within 10 %

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.about is self.at_least is self.at_most is None:
            raise ValueError("a ratio needs a number: about, at_least or at_most")
        return self

    def variants(self) -> list[str]:
        return _sides(_RATIO, self.of)


class Range(_Claim):
    """A metric of one variant lies between two numbers.

    =========  =================================================================================
    metric     a fact, what is trained (its mean) or a peak of memory; no time, which is a machine's
    direction  none
    margin     none: the numbers are what is claimed
    match      as of an order; so are `at` and `over`
    decided    by `decide.about`
    =========  =================================================================================
    """

    kind: Literal["range"]
    of: str
    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g}); swap them")
        return self

    def variants(self) -> list[str]:
        return [self.of]


class Equality(_Claim):
    """Two variants have exactly the same value (arithmetic), or compute the same function.

    =========  =================================================================================
    metric     a fact or what is trained, seed by seed; or `function`: the outputs of the full
               networks with tied weights, as drop-ins (metrics/equality.py)
    direction  none
    margin     none; of functions rounding in float64, 1e-10 of the largest output
    match      as of an order; so is `over`
    decided    by `hypotheses.equal`; of what is trained no interval shows it, so only equal values
               of every seed support it
    =========  =================================================================================
    """

    kind: Literal["equality"]
    expect: Equation

    def variants(self) -> list[str]:
        return _sides(_RELATION, self.expect)


class Count(_Claim):
    """A variant has exactly so many of something (parameters, MACs, pixels).

    =========  =================================================================================
    metric     a fact, or what is trained: every seed must have that number
    direction  none
    margin     none
    match      as of an order; so is `over`
    decided    equal or not
    =========  =================================================================================
    """

    kind: Literal["count"]
    of: str
    equals: float

    def variants(self) -> list[str]:
        return [self.of]


class Trend(_Claim):
    """A metric of a variant rises or falls along the values that `over` sweeps.

    =========  =================================================================================
    metric     a fact; or latency along batch sizes, which is then the time an image
    direction  that of `expect`, along the values as they are written; numbers go up
    margin     in the metric's unit, or a share of the first value: what the last must be beyond the
               first, and what a step may turn back by; of latency a share (else the suite's)
    match      the drop-in network
    over       one setting of the network, two values or more; of latency `{batch: [1, 8, 64]}`
    at         of latency: phase, precision, …; each setting for itself
    decided    by `decide.trend`: over all values at once
    =========  =================================================================================
    """

    kind: Literal["trend"]
    of: str
    expect: Literal["rising", "falling"]
    margin: Margin = 0.0

    def variants(self) -> list[str]:
        return [self.of]


class RequirementClaim(_Claim):
    """A variant reaches what the note asks of it; with several, each of them does.

    Several stand between commas, and `all` for every variant of the comparison: `of: all, metric:
    layers.depthwise, at_least: 1` says that each of these networks has a depthwise layer, and
    `at_most: 0` that none has.

    =========  =================================================================================
    metric     a fact of the full network; or what is trained, as the full profile trains it
    direction  that of the limits
    margin     none
    match      the drop-in
    over       of facts, and of one variant: each value for itself
    decided    a fact at once; of what is trained every seed must reach it (requirements.py)
    =========  =================================================================================
    """

    kind: Literal["requirement"]
    of: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.at_least is self.at_most is None:
            raise ValueError("a requirement needs a number: at_least or at_most")
        names = _names(self.of)
        if "" in names:
            raise ValueError(
                f"{self.of!r} has a comma too many; write for example `strided, maxpool`"
            )
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{self.of!r} names {twice!r} twice; name each variant once")
        if ALL in names and len(names) > 1:
            raise ValueError(
                f"{self.of!r}: `{ALL}` stands for every variant of the comparison; write it alone"
            )
        if self.over and (len(names) > 1 or names == [ALL]):
            raise ValueError("a sweep (`over`) is of one variant that is named; name one in `of`")
        return self

    def variants(self) -> list[str]:
        return [name for name in _names(self.of) if name != ALL]


class Question(_Claim):
    """The note asks which is better; the report answers, and judges nothing.

    =========  =================================================================================
    metric     a fact, what is trained, latency or a peak of memory
    direction  the metric's own; of one that has none the highest is named
    margin     as of an order
    match      as of an order; so is `at`
    over       no
    decided    by `hypotheses.apart`, at a level for all pairs together
    =========  =================================================================================
    """

    kind: Literal["question"]
    between: Annotated[list[str], Field(min_length=2)]
    margin: Margin
    within: dict[str, AtMost] = {}  # only of those that cost no more; as in `Order`

    def variants(self) -> list[str]:
        return self.between


Claim = Annotated[
    Order
    | Equivalence
    | RatioClaim
    | Range
    | Equality
    | Count
    | Trend
    | RequirementClaim
    | Question,
    Field(discriminator="kind"),
]
KINDS = [
    get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(Claim)[0])
]


def _not_swept(over: object, sides: tuple[list[str], list[str]], within: object) -> None:
    if over and ([ALL] in sides or within):
        raise ValueError(
            f"a sweep (`over`) is of two variants that are named; it goes with no `{ALL}` and no "
            "`within`"
        )


def _both(expect: str) -> tuple[list[str], list[str]]:
    ours, theirs = _sides(_RELATION, expect)
    return _names(ours), _names(theirs)


def _sides(form: re.Pattern[str], text: str) -> list[str]:
    match = form.fullmatch(text)
    assert match is not None  # validated
    return [match[1], match[match.re.groups]]
