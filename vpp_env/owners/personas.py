"""Scripted owners who talk: fixed phrases and a fixed way of conceding, no language model, always alike.

A persona claims more than its values at first and concedes with the rounds (Faratin et al. 1998). It also *heeds*: once
the aggregator's words take up what it has said keeps it from signing, it answers by its true values from then on. So
words can end a haggling early, and can do nothing else: no persona signs what it would lose by.

`PERSONAS` are for development; those of `HELD_OUT` have other phrases, styles and things that they heed, and are for
cross-play only: nothing may be tuned on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vpp_env.contract.speech import Heard, Speech
from vpp_env.errors import UnknownNameError, did_you_mean

CONCERNS: dict[str, tuple[str, ...]] = {
    "price": ("price", "pay", "cents", "money", "precio", "centavos"),
    "defer_price": ("charging", "wait", "cargar"),
    "reserve_price": ("reserve", "standby"),
    "availability": ("fee", "being there"),
    "floor_price": ("backup", "outage", "floor", "apagón", "reserva"),
    "car_price": ("car", "drive", "coche"),
    "overuse_price": ("wear", "battery life", "cycles", "desgaste"),
    "blackout_price": ("evening", "peace", "window", "tranquil"),
    "share": ("share", "part"),
}
"""Words by which a concern is taken up."""


@dataclass(frozen=True)
class Persona:
    """One way to talk.

    Parameters
    ----------
    name : str
        Of the registry.
    markup, beta : float
        How much more it claims at first, and how it concedes; see `brains.Strategic`.
    heeds : bool
        Whether it gives up haggling when its concern is taken up.
    accepts, counters, declines, concerned : tuple of str
        Phrases; `{wants}` are the prices that it asks for, `{why}` is its concern.
    whys : dict
        Concern -> how it is said.
    """

    name: str
    markup: float
    beta: float
    heeds: bool
    accepts: tuple[str, ...]
    counters: tuple[str, ...]
    declines: tuple[str, ...]
    whys: dict[str, str]

    def answer(self, heard: Sequence[Heard]) -> list[Speech]:
        """Answer for each by itself."""
        return [self._one(h) for h in heard]

    def _one(self, h: Heard) -> Speech:
        verdict = h.truth if self.heeds and self._heeded(h) else h.claimed
        why = self.whys.get(_concern(h), self.whys["price"])
        pick = h.home + h.opportunity + h.round
        if verdict.accepts:
            return Speech("accept", self.accepts[pick % len(self.accepts)].format(why=why))
        if not verdict.wants:
            return Speech("decline", self.declines[pick % len(self.declines)].format(why=why))
        said = " and ".join(_asked(name, price) for name, price in verdict.wants.items())
        return Speech("counter", self.counters[pick % len(self.counters)].format(wants=said, why=why), verdict.wants)

    @staticmethod
    def _heeded(h: Heard) -> bool:
        """Whether the words take up what it asks for: the concern must have been said before, or be the offer's."""
        words = h.message.casefold()
        return any(re.search(rf"\b{re.escape(w)}", words) for w in CONCERNS[_concern(h)]) and bool(h.past)


def _asked(name: str, price: float) -> str:
    """How a price is said."""
    return f"{100 * price:.0f} % share" if name == "share" else f"{100 * price:.2f} cents {name.replace('_', ' ')}"


def _concern(h: Heard) -> str:
    """What keeps it from signing most: the price whose raise is the largest share of what was offered."""
    wants = h.truth.wants or h.claimed.wants
    if not wants:
        return "price"
    return max(wants, key=lambda name: (wants[name] / max(h.offered[name], 1e-3), name))


_PLAIN = {
    "price": "the price is too low for what it costs me",
    "floor_price": "I want my backup for an outage",
    "overuse_price": "I mind the wear on the battery",
    "car_price": "I need the car",
    "blackout_price": "I want my evenings in peace",
    "availability": "being there is worth a fee",
    "defer_price": "charging that waits is a nuisance",
    "reserve_price": "standing on reserve is worth something",
    "share": "my share is small",
}
_SHORT = {name: name.replace("_", " ") for name in CONCERNS}

PERSONAS: dict[str, Persona] = {
    p.name: p
    for p in (
        Persona(
            "plain", 0.2, 1.0, True,
            ("That works for me.", "All right, we have a deal.", "Fine, I agree to that."),
            ("Not yet: {why}. I would take {wants}.", "Nearly. {why}; with {wants} I would sign."),
            ("No, thank you: {why}.", "I'd rather leave it as it is."),
            _PLAIN,
        ),
        Persona(
            "haggler", 0.5, 0.5, True,
            ("You drive a hard bargain. Done.", "Since you insist: agreed."),
            ("Come on! {why}. Make it {wants} and we can talk.", "My neighbour gets more. {wants}, because {why}."),
            ("Not like that. {why}.",),
            _PLAIN,
        ),
    )
}  # fmt: skip
HELD_OUT: dict[str, Persona] = {
    p.name: p
    for p in (
        Persona("curt", 0.35, 2.0, False, ("ok.", "yes"), ("{wants}.", "no. {wants}"), ("no.",), _SHORT),
        Persona(
            "storyteller", 0.3, 0.7, True,
            ("My late husband installed that battery himself, and he would have liked this. Yes, let us do it.",),
            ("When the storm came in 2019 we sat in the dark for two days, so you will understand that {why}. If it "
             "were {wants}, I could live with it.",),
            ("I have slept on it and talked to my sister. I think not.",),
            {**_PLAIN, "price": "at our age every dollar of it counts", "floor_price": "we never want to sit in the "
             "dark again", "overuse_price": "that battery has to outlive me"},
        ),
        Persona(
            "vecina", 0.25, 1.5, True,
            ("Bueno, trato hecho.", "Sí, de acuerdo."),
            ("Así no puedo: {why}. Con {wants} firmo.",),
            ("No, gracias.",),
            {**_SHORT, "price": "el precio es bajo", "floor_price": "temo otro apagón", "overuse_price": "el desgaste "
             "de la batería", "car_price": "necesito el coche"},
        ),
    )
}  # fmt: skip
"""Never tuned on."""


def persona(name: str = "plain") -> Persona:
    """Return a scripted owner.

    Raises
    ------
    UnknownNameError
        When there is none of that name.
    """
    every = PERSONAS | HELD_OUT
    if name not in every:
        raise UnknownNameError(did_you_mean(str(name), every, "persona"))
    return every[name]
