"""Consent: what a policy says covers nothing; the owner's verified own bid covers what it asked enough for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import month, with_prices

from vpp_env.contract.bids import Bids, encode
from vpp_env.contract.policy import Consent, MarketRules, PolicyInfo, make_policy
from vpp_env.contract.views import Information, View
from vpp_env.core import ledger as led
from vpp_env.evaluation.consent import consent_note, counts
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import Run, simulate
from vpp_env.evaluation.verdict import Audit, Verdict

VERIFIED, CLAIMED, REFUTED = (Audit(v, Information.OWN, 0, 0, ()) for v in Verdict)
SHORT = {"fleet.share_bess": 1.0, "time.duration_hours": 30, "market.min_bid_mw": 0.0}


class Seller:
    """Every home sells all it has inside its envelope, and asks `share` of what its owner asks."""

    def __init__(self, consent: Consent, share: float = 1.0, hard: bool = False, waits: float = 1.0) -> None:
        self.info = PolicyInfo("seller", Information.OWN, consent, "sells")
        self._share, self._hard, self._waits = share, hard, waits

    def reset(self, rules: MarketRules, rng: np.random.Generator) -> None:
        self._rules = rules

    def act(self, view: View) -> Bids:
        rules, homes = self._rules, view.homes
        storage = homes.bess_sell_hard_kw if self._hard else homes.storage_sell_kw
        stores = storage > 0
        ask = self._share * np.where(stores, homes.own_ask, self._waits * homes.defer_ask)
        kw = np.where(stores, storage, homes.defer_kw)
        accepted = np.ones(rules.n_homes, dtype=np.bool_)
        return Bids(encode(rules.sell_limit_kw, rules.buy_limit_kw, sell_kw=kw, sell_ask=ask), accepted)


def played(policy: Any, audit: Audit | None, changes: dict[str, Any] | None = None) -> Run:
    """Sold at 900 USD/MWh, which every ask is below."""
    return simulate(with_prices(month("week20", SHORT | (changes or {}), 1), rt=900.0), policy, audit=audit)


def shares(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(N,) share of satisfaction that is consented, and whether the home was dispatched at all."""
    homes = prosumer_table(run.record, run.world.scenario.satisfaction, run.info)
    dispatched = run.record.totals[led.L_SOLD] + run.record.totals[led.L_BOUGHT] > 1e-6
    assert dispatched.any()
    return (homes["satisfaction_consented"] / homes["satisfaction"]).to_numpy(), dispatched


@pytest.mark.parametrize("audit", [None, CLAIMED, REFUTED, VERIFIED])
@pytest.mark.parametrize("consent", Consent)
def test_only_verified_bids_of_the_owners_own_count(consent: Consent, audit: Audit | None) -> None:
    run = played(Seller(consent), audit)
    known = consent is Consent.OWN_BIDS and audit is VERIFIED
    assert counts(run.info, audit) == known
    assert (consent_note(run.info, audit) == "") == known
    share, _ = shares(run)
    table = run.record.homes.dispatch()
    if known:
        assert share.min() > 0.9
        assert summarize(run)["satisfaction_consented"] > 0.0
    else:
        assert not share.any()
        assert summarize(run)["satisfaction_consented"] == 0.0
        assert not table["covered_kwh"].any()
    assert table["accepted"].all() == (consent is not Consent.NEVER), "what it says is kept as what it says"


def test_a_bid_below_the_owners_ask_covers_nothing() -> None:
    share, dispatched = shares(played(Seller(Consent.OWN_BIDS, 0.9), VERIFIED, {"fleet.share_ev": 0.0}))
    assert not share[dispatched].any()
    assert (share[~dispatched] == 1.0).all()


def test_charging_that_waits_is_covered_at_its_own_ask() -> None:
    """Cars alone: the defer ask is what counts, far below what storage asks."""
    cars = {"fleet.share_bess": 0.3, "fleet.share_ev": 1.0, "fleet.v2g_share": 0.0}
    for waits, covered in ((1.0, 1.0), (0.9, 0.0)):
        run = played(Seller(Consent.OWN_BIDS, waits=waits), VERIFIED, cars)
        share, dispatched = shares(run)
        only_waits = dispatched & (run.record.fleet.bess_kwh == 0)
        assert (run.record.totals[led.L_DEFER] > 0.0)[only_waits].sum() >= 3
        assert share[only_waits] == pytest.approx(np.full(only_waits.sum(), covered))


def test_what_lies_outside_the_envelope_is_not_covered() -> None:
    changes = {"market.safeguard": False, "preferences.max_blackouts_per_week": 0}
    run = played(Seller(Consent.OWN_BIDS, hard=True), VERIFIED, changes)
    rows = run.record.totals
    table = run.record.homes.dispatch()
    assert rows[led.L_BEYOND].sum() > 1.0
    given = table["sold_kwh"] + table["called_kwh"]
    assert (table["covered_kwh"] <= np.maximum(given - table["beyond_kwh"], 0.0) + 1e-9).all()
    assert table["covered_kwh"].sum() > 1.0


def test_covered_energy_is_never_more_than_what_was_dispatched() -> None:
    run = simulate(month("week20", {"time.duration_hours": 48}, 2), make_policy("truthful"), audit=VERIFIED)
    table = run.record.homes.dispatch()
    done = table["sold_kwh"] + table["called_kwh"] + table["bought_kwh"]
    assert (table["covered_kwh"] <= done + 1e-9).all()
    # it bids its owners' asks: all of it but what a market's rule takes from beyond the envelope
    assert table["covered_kwh"].sum() >= (done - table["beyond_kwh"]).sum() - 1e-6
    assert done.sum() > 0.0
