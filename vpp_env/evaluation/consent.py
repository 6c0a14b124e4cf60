"""Whose consent there is to what was dispatched: what a policy says of it, and what the evaluator counts.

A kWh is covered by its owner's own bid where all of this holds:

- the policy's bids are the owners' own (`Consent.OWN_BIDS`) and an audit has *verified* that each follows from its
  owner's row alone (`Audit.separate`): else the "owner's bid" is anybody's;
- its ask is at or above what the owner itself asks: its own ask for what storage gives, its defer ask for charging that
  waits. For a purchase it is the envelope that says what the owner would pay;
- it is inside the owner's envelope, and in no blackout window.

A kWh is covered by a contract that its owner has signed with the world watching, audited or not, inside the terms:
what was dispatched beyond them is taken off the rest.

`Bids.accepted` is what a policy says that its own agents said. It is recorded, and covers nothing: who wants it to
count asks the owners (`view.owners.propose`), who are part of the world.
"""

from __future__ import annotations

import numpy as np

from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Consent, PolicyInfo
from vpp_env.core import ledger as led
from vpp_env.evaluation.verdict import Audit
from vpp_env.simulation.outcome import Outcome
from vpp_env.units import PRICE_TICK, Flags, Floats

TICK_TOLERANCE = 1e-6
"""Share of a tick below which two asks are the same."""
USD_TOLERANCE = 1e-9
BY_CONSTRUCTION = "0 by construction: this policy asks nobody"
CLAIMED = "0: its own agents accept inside the policy, and no owner of the world has signed a contract"
NOT_AUDITED = "0: the bids are said to be the owners' own; no audit has verified it (--verify)"


def counts(info: PolicyInfo, audit: Audit | None) -> bool:
    """Whether the owners' own bids stand for their consent."""
    return info.consent is Consent.OWN_BIDS and audit is not None and audit.separate


def consent_note(info: PolicyInfo, audit: Audit | None, signed: bool = False) -> str:
    """Why a policy's `satisfaction_consented` is 0; empty where bids count, or contracts were `signed`."""
    if signed or counts(info, audit):
        return ""
    return {Consent.NEVER: BY_CONSTRUCTION, Consent.ACCEPTED: CLAIMED, Consent.OWN_BIDS: NOT_AUDITED}[info.consent]


def claimed(info: PolicyInfo, bids: Bids, n: int) -> Flags | None:
    """Return (N,) bool: whose dispatch in this opportunity was accepted, as the policy says; `None` if nobody asks."""
    if info.consent is Consent.NEVER:
        return None
    if info.consent is Consent.OWN_BIDS:
        return np.ones(n, dtype=bool)
    return np.zeros(n, dtype=bool) if bids.accepted is None else np.asarray(bids.accepted, dtype=bool)


def covered_by_bids(outcome: Outcome) -> Floats:
    """(N,) kWh sold, delivered on call or bought at bids that their owners could have made, inside their envelopes.

    What waits is asked for on the cheaper line, what storage gives on the dearer one, and where the pay is below what
    the owner's asks amount to the lines did not hold what they were for. What lies outside the envelope is taken off
    the rest: it is not known which kWh of an opportunity were.
    """
    rows, offers = outcome.ledger[:, 0], outcome.offers
    cheap, dear = ((ticks[0] + TICK_TOLERANCE) * PRICE_TICK for ticks in offers.asked_ticks)
    stored, waits = rows[led.L_BESS] + rows[led.L_V2G], rows[led.L_DEFER]
    sold = stored * (dear >= outcome.own_ask[0]) + waits * (cheap >= outcome.defer_ask[0])
    paid = rows[led.L_PAY_SOLD] >= rows[led.L_OWED] - USD_TOLERANCE
    return np.maximum(sold * paid + rows[led.L_BOUGHT] - np.maximum(rows[led.L_BEYOND], rows[led.L_BLACK]), 0.0)


def covered_by_contract(outcome: Outcome) -> Floats:
    """(N,) kWh sold, delivered on call or bought within the terms of a contract; of homes that have one."""
    rows = outcome.ledger[:, 0]
    done = rows[led.L_SOLD] + rows[led.L_CALLED] + rows[led.L_BOUGHT]
    beyond = np.maximum(np.maximum(rows[led.L_BEYOND], rows[led.L_BLACK]), rows[led.L_EXCESS])
    return np.maximum(done - beyond, 0.0)


def covered_kwh(info: PolicyInfo, audit: Audit | None, outcome: Outcome) -> Floats:
    """(N,) kWh of an opportunity that the owners' consent covers: by contract, or by bids where these `counts`."""
    by_bids = covered_by_bids(outcome) if counts(info, audit) else np.zeros(outcome.ledger.shape[-1])
    return np.where(outcome.contracts.on[0], covered_by_contract(outcome), by_bids)
