"""Brains: how an owner speaks of what is its own. Whatever it says, it signs nothing that it expects to lose by.

A brain says by which factor an owner multiplies its values and costs when it answers; `truthful` says what is. An
owner signs what is worth it by its true values *and* by those that it claims: who claims more holds out, who claims
less turns down what it said it would take.

| brain | factor in round r of R | |
|---|---|---|
| truthful | 1 | |
| strategic(markup, beta) | 1 + markup (1 - (r / R)^(1 / beta)) | beta < 1 holds out, > 1 gives in early |
| liar(factor) | factor | says the same in every round |
| persona('name') | as its style | also talks: phrases and style of `personas` |
| hostile('attacks') | as strategic(.3, 1) | also talks: attacks whoever reads it, see `hostile` |
| llm('module:name', markup=.2, ...) | as strategic | also talks: whoever is named; without a name a persona |

Source of the concession: Faratin, Sierra, Jennings (1998), "Negotiation decision functions for autonomous agents".
A new brain is an entry of `BRAINS`; a scenario mixes them: `[owners] brains = [["truthful", .8], ["liar(2)", .2]]`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vpp_env.contract.named import arguments
from vpp_env.contract.speech import Speaker
from vpp_env.errors import ScenarioError, UnknownNameError, did_you_mean
from vpp_env.owners.hostile import MARKUP, hostile
from vpp_env.owners.personas import persona
from vpp_env.owners.talk import named_speaker
from vpp_env.scenario.streams import stream
from vpp_env.units import Floats, Ints

BRAIN_KEY = 2
"""Sub-stream of the owners' stream from which each home's brain is drawn."""


class Brain(Protocol):
    """How an owner speaks."""

    def factor(self, round: int, of_rounds: int) -> float:
        """On its values and costs, as it claims them in this round (from 1); above 0."""
        ...


@dataclass(frozen=True)
class Truthful:
    """Says what is."""

    def factor(self, round: int, of_rounds: int) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class Strategic:
    """Claims more at first, and concedes with the rounds."""

    markup: float = 0.2
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 <= self.markup < math.inf and 0.0 < self.beta < math.inf):
            raise ScenarioError(
                f"strategic({self.markup!r}, {self.beta!r}): allowed are a markup of 0 or more and a beta above 0"
            )

    def factor(self, round: int, of_rounds: int) -> float:
        """1 + markup (1 - (r / R)^(1 / beta))."""
        return 1.0 + self.markup * (1.0 - (round / of_rounds) ** (1.0 / self.beta))


@dataclass(frozen=True)
class Liar:
    """Claims other values than its own."""

    by: float = 2.0

    def __post_init__(self) -> None:
        if not 0.0 < self.by < math.inf:
            raise ScenarioError(f"liar({self.by!r}): allowed is a factor above 0")

    def factor(self, round: int, of_rounds: int) -> float:
        """The same in every round."""
        return self.by


@dataclass(frozen=True)
class Talking:
    """Says what a speaker says where it is spoken to in words; else claims and concedes as `Strategic` does."""

    speaker: Speaker
    claims: Strategic

    def factor(self, round: int, of_rounds: int) -> float:
        """As `claims`."""
        return self.claims.factor(round, of_rounds)


def talking(speaker: str = "", markup: float = 0.0, beta: float = 1.0, **options: Any) -> Brain:
    """Make a brain that `module:name` speaks for, built with `options`; without one a scripted persona."""
    if speaker:
        return Talking(named_speaker(speaker, options), Strategic(markup, beta))
    if options or markup or beta != 1.0:
        raise ScenarioError("llm: options are those of a speaker, and none is named: llm('module:name', markup=0.2)")
    return scripted()


def scripted(name: str = "plain") -> Brain:
    """Make a brain that a scripted persona speaks for, and that claims and concedes in its style."""
    found = persona(name)
    return Talking(found, Strategic(found.markup, found.beta))


def attacking(manner: str = "attacks", first: int = 0) -> Brain:
    """Make a brain whose words attack, or its calm twin; see `hostile`."""
    return Talking(hostile(manner, first), Strategic(MARKUP))


BRAINS: dict[str, Callable[..., Brain]] = {
    "truthful": Truthful,
    "strategic": Strategic,
    "liar": Liar,
    "persona": scripted,
    "hostile": attacking,
    "llm": talking,
}


def known_brain(spec: str) -> str:
    """Name of the brain that a scenario's `spec` names; nothing of it is made.

    Raises
    ------
    UnknownNameError
        When there is no such brain; the message offers the nearest.
    """
    name = spec.strip().partition("(")[0]
    if name not in BRAINS:
        raise UnknownNameError(did_you_mean(name, BRAINS, "brain of owners"))
    return name


def make_brain(spec: str) -> Brain:
    """Build a brain from its form in a scenario: `truthful`, `strategic(.2, 1)`, `liar(2)`, `llm('module:name')`.

    Raises
    ------
    UnknownNameError
        When there is no such brain; the message offers the nearest.
    ScenarioError
        When its numbers cannot be read, or are not allowed.
    """
    name = known_brain(spec)
    rest = spec.strip().partition("(")[2]
    help_text = f"scenario.owners.brains: got {spec!r}; allowed is a brain's name, or name(number, ...)"
    help_text += ", of those that talk name('text', option=value, ...)"
    try:
        call = arguments(rest.removesuffix(")"))
        if not isinstance(call, ast.Call) or (rest and not rest.endswith(")")):
            raise ScenarioError(help_text)
        given = [ast.literal_eval(a) for a in call.args]
        options = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        return BRAINS[name](*given, **options)
    except (ValueError, TypeError) as error:
        raise error if isinstance(error, ScenarioError) else ScenarioError(help_text) from error


class Mixture:
    """Which brain each owner of M months of N homes has, and what they claim.

    Parameters
    ----------
    shares : sequence of (str, float)
        Brain, share of the homes.
    seeds : sequence of int
        Of the M worlds. A home's draw depends on its seed and row alone: another mixture changes no more owners than
        it must.
    n : int
        Homes of a month.
    """

    def __init__(self, shares: Sequence[tuple[str, float]], seeds: Sequence[int], n: int) -> None:
        self.brains: tuple[Brain, ...] = tuple(make_brain(spec) for spec, _ in shares)
        edges = np.cumsum([share for _, share in shares])[:-1]
        draws = np.stack([stream(seed, "owners", BRAIN_KEY).random(n) for seed in seeds])
        self.of_home: Ints = np.searchsorted(edges, draws, side="right")  # (M, N) index into `brains`

    def factors(self, rounds: Sequence[int], of_rounds: int) -> Floats:
        """(M, N) factor that each owner claims, month m being in round `rounds[m]` from 1."""
        said = np.array([[b.factor(max(r, 1), of_rounds) for b in self.brains] for r in rounds])
        return said[np.arange(len(said))[:, None], self.of_home]
