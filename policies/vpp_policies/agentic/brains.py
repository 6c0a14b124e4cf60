"""Who can negotiate: the registry of brains, and the options that apply to each.

A brain is an entry of `BRAINS`: a maker of both sides (`negotiation.Brain`), and the class of its own options. Options
reach a brain as two frozen dataclasses; on a command line, and in `agentic(...)`, as flat names of their fields.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

from vpp_env import PolicyError, UnknownNameError, did_you_mean
from vpp_policies.agentic.llm_brain import LLM_PARTS, LlmBrain, ModelOptions
from vpp_policies.agentic.negotiation import Brain, NegotiationOptions
from vpp_policies.agentic.rules import RulesBrain

PARTS = ("negotiation", "memory", "concessions", "rounds", "values", "solver")
"""What any brain can be played without."""


@dataclass(frozen=True)
class BrainEntry:
    """One brain of the registry.

    Parameters
    ----------
    make : callable
        Takes the `NegotiationOptions` and the brain's own options, and returns the `Brain` of one policy object.
    options : type, optional
        Frozen dataclass of its own options, with defaults; a field may be such a dataclass itself. None: it has none.
    parts : tuple of str
        What it can be played without, beside `PARTS`.
    unused : tuple of str
        Fields of `NegotiationOptions` that mean nothing to it; they are refused.
    """

    make: Callable[[NegotiationOptions, Any], Brain]
    options: type[Any] | None = None
    parts: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def applying(self) -> dict[str, Any]:
        """Flat names of the options that apply, with their defaults."""
        general = {name: value for name, value in _flat(NegotiationOptions).items() if name not in self.unused}
        return general | ({} if self.options is None else _flat(self.options))


BRAINS: dict[str, BrainEntry] = {
    "rules": BrainEntry(lambda negotiation, _: RulesBrain(negotiation)),
    "llm": BrainEntry(LlmBrain, ModelOptions, LLM_PARTS),
}
"""Brains by name. More are registered here."""


def entry_of(brain: str) -> BrainEntry:
    """Return the entry of the brain.

    Raises
    ------
    UnknownNameError
        When there is no such brain; the message offers the nearest.
    """
    if brain not in BRAINS:
        raise UnknownNameError(did_you_mean(brain, BRAINS, "brain"))
    return BRAINS[brain]


def make_brain(brain: str, negotiation: NegotiationOptions, options: Any = None) -> Brain:
    """Make the brain of one policy object.

    Parameters
    ----------
    brain : str
        A name of `BRAINS`.
    negotiation : NegotiationOptions
        How is negotiated.
    options : dataclass, optional
        The brain's own; None: the defaults.

    Raises
    ------
    UnknownNameError
        When the brain, or a part to play without, is unknown.
    PolicyError
        When options are given that do not apply to the brain.
    """
    entry = entry_of(brain)
    for part in negotiation.left_out:
        if part not in (*PARTS, *entry.parts):
            raise UnknownNameError(did_you_mean(part, (*PARTS, *entry.parts), "part for without"))
    changed = {f.name for f in fields(NegotiationOptions) if getattr(negotiation, f.name) != f.default}
    _refuse(brain, changed & set(entry.unused))
    if entry.options is None and options is not None:
        raise PolicyError(f"brain {brain!r} has no options of its own; got {type(options).__name__}, allowed is None")
    if entry.options is not None:
        options = entry.options() if options is None else options
        if not isinstance(options, entry.options):
            raise PolicyError(
                f"options of brain {brain!r}: got {type(options).__name__}; allowed is {entry.options.__name__}"
            )
    return entry.make(negotiation, options)


def split_options(given: Mapping[str, Any]) -> tuple[str, NegotiationOptions, Any]:
    """Turn flat options into the brain's name, how is negotiated, and the brain's own options.

    Raises
    ------
    UnknownNameError
        When no brain has an option of that name; the message offers the nearest.
    PolicyError
        When an option does not apply to the brain; the message names those that do.
    """
    flat = dict(given)
    brain = flat.pop("brain", "rules")
    entry = entry_of(brain)
    known = flat_signature().parameters
    for name in flat:
        if name not in known:
            raise UnknownNameError(did_you_mean(name, known, "option of agentic"))
    _refuse(brain, flat.keys() - entry.applying().keys())
    own = None if entry.options is None else _build(entry.options, flat)
    return brain, _build(NegotiationOptions, flat), own


def flat_signature() -> inspect.Signature:
    """Return the signature of `agentic(...)`: every option of every brain."""
    options, types = {"brain": "rules"} | _flat(NegotiationOptions), {"brain": "str"} | _types(NegotiationOptions)
    for entry in BRAINS.values():
        options |= entry.applying()
        types |= {} if entry.options is None else _types(entry.options)
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value, annotation=types[name])
            for name, value in options.items()
        ]
    )


def _refuse(brain: str, names: set[str]) -> None:
    if not names:
        return
    owners = sorted(b for b, entry in BRAINS.items() if names <= entry.applying().keys())
    hint = f"; {' and '.join(f'brain={b!r}' for b in owners)} would take it" if owners else ""
    raise PolicyError(
        f"brain {brain!r}: got {', '.join(sorted(names))}, which does not apply; allowed is "
        f"{', '.join(entry_of(brain).applying())}{hint}"
    )


def _parts(cls: type[Any]) -> list[tuple[Field[Any], Any]]:
    """Fields and their defaults; every option has one."""
    return [(f, f.default if f.default_factory is MISSING else f.default_factory()) for f in fields(cls)]


def _flat(cls: type[Any]) -> dict[str, Any]:
    """Names and defaults of a dataclass of options; those of its parts stand beside its own."""
    out: dict[str, Any] = {}
    for f, default in _parts(cls):
        out |= _flat(type(default)) if is_dataclass(default) else {f.name: default}
    return out


def _types(cls: type[Any]) -> dict[str, Any]:
    """Names and annotations of the same."""
    out: dict[str, Any] = {}
    for f, default in _parts(cls):
        out |= _types(type(default)) if is_dataclass(default) else {f.name: f.type}
    return out


def _build(cls: type[Any], flat: Mapping[str, Any]) -> Any:
    """An object of `cls` (and of its parts) from flat options; what it does not know is left out."""
    made = {}
    for f, default in _parts(cls):
        if is_dataclass(default):
            made[f.name] = _build(type(default), flat)
        elif f.name in flat:
            made[f.name] = flat[f.name]
    return cls(**made)
