"""The claim language: one model per kind of claim, told apart by `kind`.

A claim cites the line of the notes that makes it, says what is measured and fixes beforehand the
smallest difference that matters (`margin`). How each kind becomes a verdict is no part of the
schema; here claims are checked for form and carried into the study.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class _Claim(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    note: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+:[A-Za-z0-9.-]+$")]  # note and line: "A:113"
    says: str  # the note's own words
    metric: str
    match: Literal["none", "params", "macs"] | None = None  # None: every match, each for itself
    primary: bool = False  # belongs to the family that multiplicity is corrected over
    device: Literal["cpu", "cuda", "mps"] | None = None
    at: dict[str, float | str] = {}  # where it is measured, e.g. {batch: 1}
    over: dict[str, Annotated[list[float | str], Field(min_length=2)]] = {}  # values swept

    def variants(self) -> list[str]:
        """Return the names of the variants that the claim is about."""
        raise TypeError(f"{type(self).__name__} names no variants")


_RELATION = re.compile(r"\s*(.+?)\s*(<|>|=)\s*(.+?)\s*")
_RATIO = re.compile(r"\s*([^/]+?)\s*/\s*([^/]+?)\s*")


def _relation(text: str) -> str:
    if not _RELATION.fullmatch(text):
        raise ValueError(f"{text!r} is no relation; write for example `depthwise < normal`")
    return text


def _ratio(text: str) -> str:
    if not _RATIO.fullmatch(text):
        raise ValueError(f"{text!r} is no ratio; write for example `normal/depthwise`")
    return text


def _margin(value: Any) -> Any:
    """Accept `2%` (of the baseline's value) beside a number in the metric's unit."""
    if isinstance(value, str) and not re.fullmatch(r"\d+(\.\d+)?\s*%", value):
        raise ValueError(f"{value!r} is no margin; write a number in the metric's unit, or `2%`")
    if isinstance(value, int | float) and value < 0:
        raise ValueError("a margin is the smallest difference that matters; it cannot be negative")
    return value


Relation = Annotated[str, AfterValidator(_relation)]
Ratio = Annotated[str, AfterValidator(_ratio)]
Margin = Annotated[float | str, BeforeValidator(_margin)]


class Order(_Claim):
    """One variant has more or less of a metric than another, by at least the margin."""

    kind: Literal["order"]
    expect: Relation
    margin: Margin

    def variants(self) -> list[str]:
        return _sides(_RELATION, self.expect)


class Equivalence(_Claim):
    """Two variants differ by less than the margin."""

    kind: Literal["equivalence"]
    expect: Relation
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

    def variants(self) -> list[str]:
        return _sides(_RATIO, self.of)


class Range(_Claim):
    """A metric of one variant lies between two numbers."""

    kind: Literal["range"]
    of: str
    low: float
    high: float

    def variants(self) -> list[str]:
        return [self.of]


class Equality(_Claim):
    """Two variants have exactly the same value (arithmetic), or compute the same function."""

    kind: Literal["equality"]
    expect: Relation

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


def _sides(form: re.Pattern[str], text: str) -> list[str]:
    match = form.fullmatch(text)
    assert match is not None  # validated
    return [match[1], match[match.re.groups]]
