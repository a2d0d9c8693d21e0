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
    model_validator,
)


def _reference(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]+:[A-Za-z0-9.-]+", text):
        raise ValueError(f"{text!r} is no reference; write a note and its line, for example A:113")
    return text


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    note: Annotated[str, AfterValidator(_reference)]  # note and line: "A:113"
    says: str  # the note's own words
    metric: str
    # None: every match, each for itself
    match: Literal["none", "params", "macs", "compute"] | None = None
    primary: bool = False  # belongs to the family that multiplicity is corrected over
    device: Literal["cpu", "cuda", "mps"] | None = None
    at: dict[str, float | str] = {}  # where it is measured, e.g. {batch: 1}
    over: dict[str, Annotated[list[float | str], Field(min_length=2)]] = {}  # values swept

    def variants(self) -> list[str]:
        """Return the names of the variants that the claim is about."""
        raise TypeError(f"{type(self).__name__} names no variants")


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
    return _two(text, match[1], match[3])


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


Inequality = Annotated[str, AfterValidator(lambda text: _relation(text, "<>"))]
Equation = Annotated[str, AfterValidator(lambda text: _relation(text, "="))]
Ratio = Annotated[str, AfterValidator(_ratio)]
Margin = Annotated[float | str, BeforeValidator(_margin)]


class Order(_Claim):
    """One variant has more or less of a metric than another, by at least the margin."""

    kind: Literal["order"]
    expect: Inequality
    margin: Margin

    def variants(self) -> list[str]:
        return _sides(_RELATION, self.expect)


class Equivalence(_Claim):
    """Two variants differ by less than the margin."""

    kind: Literal["equivalence"]
    expect: Equation
    margin: Margin

    def variants(self) -> list[str]:
        return _sides(_RELATION, self.expect)


class RatioClaim(_Claim):
    """A metric of one variant is so many times that of another."""

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
    """A metric of one variant lies between two numbers."""

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
    """Two variants have exactly the same value (arithmetic), or compute the same function."""

    kind: Literal["equality"]
    expect: Equation

    def variants(self) -> list[str]:
        return _sides(_RELATION, self.expect)


class Count(_Claim):
    """A variant has exactly so many of something (parameters, MACs, pixels)."""

    kind: Literal["count"]
    of: str
    equals: float

    def variants(self) -> list[str]:
        return [self.of]


class Trend(_Claim):
    """A metric of a variant rises or falls along the values that `over` sweeps."""

    kind: Literal["trend"]
    of: str
    expect: Literal["rising", "falling"]
    margin: Margin = 0.0

    def variants(self) -> list[str]:
        return [self.of]


class RequirementClaim(_Claim):
    """A variant reaches what the note asks of it."""

    kind: Literal["requirement"]
    of: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.at_least is self.at_most is None:
            raise ValueError("a requirement needs a number: at_least or at_most")
        return self

    def variants(self) -> list[str]:
        return [self.of]


class Question(_Claim):
    """The note asks which is better; the report answers, and judges nothing."""

    kind: Literal["question"]
    between: Annotated[list[str], Field(min_length=2)]
    margin: Margin

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


def _sides(form: re.Pattern[str], text: str) -> list[str]:
    match = form.fullmatch(text)
    assert match is not None  # validated
    return [match[1], match[match.re.groups]]
