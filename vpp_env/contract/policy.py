"""The contract of a policy, its registry, and how a policy is named on a command line.

A new policy is one file and one line: an entry point of the group `vpp_env.policies`, or on the command line
`--policies my_module:MyPolicy` or `--policies path/to/file.py:MyPolicy`. Its constructor's keyword arguments are its
options: `--policies "centralized(horizon_hours=24)"`.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vpp_env.contract.bids import Bids
from vpp_env.contract.named import arguments, named
from vpp_env.contract.views import Information, View
from vpp_env.errors import MOST_CHARACTERS, PolicyError, UnknownNameError, did_you_mean, needs, shortened
from vpp_env.units import Ints

GROUP = "vpp_env.policies"
OWN_DIST = "vpp-env"
"""The distribution whose registered policies are trusted with the evaluator's process."""


class Consent(Enum):
    """Whether somebody asked the owners: decides `satisfaction_consented`."""

    NEVER = "nobody is asked"
    OWN_BIDS = "every bid is its owner's own"
    ACCEPTED = "homes accept offers one by one (`Bids.accepted`)"


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy declares about itself; printed beside every result."""

    name: str  # how reports call it
    information: Information  # the set that its views hold, and no more
    consent: Consent  # whether somebody asks the owners
    description: str  # one line: what it does
    reference: str = ""  # where it is published

    def __post_init__(self) -> None:
        for part in ("name", "description", "reference"):
            text = getattr(self, part)
            if not isinstance(text, str) or not text.isprintable() or len(text) > MOST_CHARACTERS:
                got = shortened(repr(text))
                raise PolicyError(
                    f"PolicyInfo.{part} is {got}; allowed is printable text of up to {MOST_CHARACTERS} characters"
                )
        if not isinstance(self.information, Information) or not isinstance(self.consent, Consent):
            raise PolicyError(
                f"PolicyInfo({self.name!r}): information is {shortened(repr(self.information))}, consent is "
                f"{shortened(repr(self.consent))}; allowed are members of Information and of Consent"
            )

    @property
    def asks_consent(self) -> bool:
        """False for a policy that asks nobody: its `satisfaction_consented` is 0 by construction."""
        return self.consent is not Consent.NEVER


@dataclass(frozen=True)
class MarketRules:
    """What every policy is told at the start of a month: public rules, and the device limits that `encode` needs."""

    n_homes: int  # homes of the fleet, N
    n_opportunities: int  # opportunities in the month
    opportunity_hours: float  # length of an opportunity
    sell_limit_kw: NDArray[np.float64]  # (N,) what a sell or reserve bid of 1 stands for; read-only
    buy_limit_kw: NDArray[np.float64]  # (N,) what a buy bid of 1 stands for; read-only
    min_bid_kw: float  # least offer (`minimum` = "award": least award) of the whole fleet
    max_capacity_kw: float  # most that the fleet may sell
    margin: float  # added to each ask in the offer to the market, share of it
    revenue_share: float  # of the real-time price, to the owner
    degradation_usd_per_kwh: float  # wear per kWh discharged
    bess_eta: float  # one-way efficiency of a battery
    ev_eta: float  # one-way efficiency of a car
    products: tuple[str, ...]  # reserve products on sale
    reserve_hours: float  # how long a kW on reserve must last on the energy behind it
    two_settlement: bool = False  # a day-ahead schedule may be handed in, see `Public.day_ahead_hours`
    programme_usd_per_kwh: float = 0.0  # incentive of a programme's events; 0: there is none
    lead: int = 0  # opportunities between the gate and delivery
    safeguard: bool = False  # a home's gateway keeps its owner's envelope unless `Bids.override` says otherwise
    capacity_usd_per_kw_month: float = 0.0  # what firm evening capacity pays; 0: none is sold
    capacity_hours: tuple[float, float] = (17.0, 21.0)  # local hours of an evening
    capacity_call_usd_per_kwh: float = 0.2  # an evening is called when a day-ahead price in its hours is above it
    minimum: str = "offer"  # whether `min_bid_kw` is of what is offered or of what is awarded: "offer" | "award"
    feeder_homes: int = 0  # homes behind one transformer: rows 0 .. feeder_homes - 1, and so on; 0: no feeders
    feeder_kw: float = math.inf  # that these may draw or export together because of the market

    @property
    def feeder(self) -> Ints:
        """(N,) number of the feeder that each home hangs on; all 0 where there are no feeders."""
        homes = np.arange(self.n_homes)
        return homes // self.feeder_homes if self.feeder_homes else np.zeros_like(homes)


@runtime_checkable
class Policy(Protocol):
    """Anything that bids for N homes."""

    info: PolicyInfo

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        """Begin a month; `rng` is the policy's own random stream.

        Parameters
        ----------
        rules : MarketRules
            What every policy is told: limits, prices' steps, products, settlement.
        rng : Generator
            The policy's own random stream, the same for every policy of a month.
        """
        ...

    def act(self, view: View) -> Bids:
        """Bid for the next opportunity.

        Parameters
        ----------
        view : View
            What the policy may see at this gate, by its information set.

        Returns
        -------
        Bids
            (N, 8) actions in [-1, 1], and what goes with them.
        """
        ...


def policy_names() -> list[str]:
    """Names in the registry.

    Returns
    -------
    list of str
        In the order of the alphabet; those that other packages bring as entry points too.
    """
    return sorted({e.name for e in entry_points(group=GROUP)})


def _policy_class(name: str, found: object) -> Callable[..., Policy]:
    """Return what was named if it is a class of policies; nothing of it has been called.

    Raises
    ------
    PolicyError
        When it is a function, a class of something else, ...
    """
    if isinstance(found, type) and all(callable(getattr(found, method, None)) for method in ("reset", "act")):
        return found
    kind = f"the class {found.__qualname__}" if isinstance(found, type) else f"a {type(found).__name__}"
    raise PolicyError(
        f"{name!r} is no policy: it is {kind}; allowed is a class with `info`, `reset(rules, rng)` and `act(view)`. "
        "Nothing of it was called"
    )


def is_outside(spec: str) -> bool:
    """Whether a policy is no part of this package: named by its class, or registered by another distribution."""
    name = parse_spec(spec)[0]
    if ":" in name:
        return True
    return any(e.name == name and e.dist is not None and e.dist.name != OWN_DIST for e in entry_points(group=GROUP))


def _factory(name: str) -> Callable[..., Policy]:
    if ":" in name:
        return _policy_class(name, named(name, "policy"))
    found = {e.name: e for e in entry_points(group=GROUP)}
    if name not in found:
        if name.endswith(".py"):
            raise UnknownNameError(f"policy {name!r} is a file: name the class in it too, {name}:ClassName")
        remedy = "Or give package.module:ClassName or path/to/file.py:ClassName. `--list` shows what each one is."
        raise UnknownNameError(did_you_mean(name, found, "policy", remedy))
    with needs(f"policy {name!r}"):
        return found[name].load()


_SPEC = re.compile(
    r"^\s*(?P<name>[^()'\"]+\.py(?::\w+)?|[\w.:\-]+)\s*(?:\((?P<args>.*)\))?\s*$",
    re.DOTALL,
)


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split `name(key=value, ...)` into the name and its options; values are Python literals, nothing is executed.

    Raises
    ------
    PolicyError
        When it is not of that form.
    """
    match = _SPEC.match(spec)
    got = repr(spec if len(spec) <= 200 else f"{spec[:200]}...")
    help_text = f"got {got}; allowed is a name, or name(key=value, ...) with numbers, strings, True or False"
    if match is None:
        raise PolicyError(f"policy cannot be read: {help_text}")
    try:
        call = arguments(match["args"] or "")
        if (
            not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Name)
            or call.args
            or any(k.arg is None for k in call.keywords)
        ):
            raise PolicyError(f"policy options must be named: {help_text}")
        options = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (ValueError, RecursionError, MemoryError) as error:  # the last two: nested too deeply
        raise PolicyError(f"policy options cannot be read: {help_text}") from error
    return match["name"], options


_LITERALS: dict[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    "str": lambda value: isinstance(value, str) and value.isprintable(),
    "tuple": lambda value: isinstance(value, tuple | list),
}
"""Annotation -> whether a literal is of it; what else is annotated is for the constructor to check."""


def _refuse_options(name: str, factory: Callable[..., Policy], options: dict[str, Any]) -> None:
    """Raise `PolicyError` where an option is no keyword argument of the constructor, or not of its type."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError) as error:
        raise PolicyError(f"{name!r} is no policy class: {error}") from error
    more = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = {key: p for key, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for key, value in options.items():
        if key not in known:
            if more:
                continue
            text = did_you_mean(key, known, f"option of {name}") if known else f"{name} has no options, got {key!r}"
            raise PolicyError(text)
        written = known[key].annotation
        types = (written if isinstance(written, str) else getattr(written, "__name__", "")).split("|")
        names = [part.strip().partition("[")[0] for part in types]
        if all(part in _LITERALS for part in names) and not any(_LITERALS[part](value) for part in names):
            allowed = " or ".join({"float": "a finite number", "str": "printable text"}.get(n, n) for n in names)
            raise PolicyError(f"{name}: {key}: got {shortened(repr(value))}; allowed is {allowed}")


def make_policy(spec: str) -> Policy:
    """Build a policy from its command-line form.

    Parameters
    ----------
    spec : str
        `name`, `name(option=value, ...)`, `module:Class` or `path/to/file.py:Class`; the latter two take options too.

    Returns
    -------
    Policy
        New, not yet reset.

    Raises
    ------
    UnknownNameError
        When there is no such policy; the message offers the nearest.
    PolicyError
        When an option is unknown or its value is not allowed.
    """
    name, options = parse_spec(spec)
    factory = _factory(name)
    _refuse_options(name, factory, options)
    try:
        with needs(f"policy {name!r}"):  # some import a solver when they are built
            policy = factory(**options)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"policy {spec!r} cannot be built: {error}") from error
    if not isinstance(policy, Policy):
        raise PolicyError(f"{name!r} is no policy: it needs `info`, `reset(rules, rng)` and `act(view)`")
    if not isinstance(policy.info, PolicyInfo):
        got = type(policy.info).__name__
        raise PolicyError(
            f"{name!r} is no policy: its `info` is a {got}; allowed is PolicyInfo(name, information, ...)"
        )
    return policy
