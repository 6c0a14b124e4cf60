"""Owners who tire: the rule by hand, and what a home whose owner has opted out does in the world."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support import begin, leaves, month, play, random_actions

from vpp_env.contract.policy import make_policy
from vpp_env.contract.views import Information
from vpp_env.core import ledger as led
from vpp_env.core.headroom import LIMITS
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import prosumer_table
from vpp_env.evaluation.simulate import simulate
from vpp_env.evaluation.verdict import Audit, Verdict
from vpp_env.owners.patience import Patience, after_day, begin_patience, extra_days, is_out, patience_draws
from vpp_env.scenario import load_scenario
from vpp_env.scenario.specs import OwnersSpec
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

SPEC = OwnersSpec()
WEEK = {"time.duration_hours": 72, "fleet.share_bess": 1.0, "owners.tolerance_factor": 0.05}
"""Owners who bear little: many opt out after the first day on which they are called."""


def test_annoyance_grows_by_what_is_asked_and_halves_in_a_week() -> None:
    state, never = begin_patience(3), np.full((2, 3), 0.999)
    bears = np.full(3, 100.0)
    state = after_day(state, np.array([True, False, True]), np.array([False, True, True]), bears, never, SPEC)
    np.testing.assert_allclose(state.annoyance, [0.5, 2.0, 2.5])
    for _ in range(7):
        state = after_day(state, np.zeros(3, bool), np.zeros(3, bool), bears, never, SPEC)
    np.testing.assert_allclose(state.annoyance, [0.25, 1.0, 1.25])
    assert not is_out(state, SPEC).any()


@pytest.mark.parametrize("points", [0.0, 8.0, 20.0])
def test_the_chance_of_opting_out_is_the_formulas(points: float) -> None:
    n, tolerance = 200_000, 8.0
    faded = points / 0.5 ** (1 / 7)
    state = begin_patience(n)._replace(annoyance=np.full(n, faded))
    draws = np.random.default_rng(0).random((2, n))
    called = np.arange(n) % 2 == 0
    out = is_out(after_day(state, called, np.zeros(n, bool), np.full(n, tolerance), draws, SPEC), SPEC)
    want = 1 - np.exp(-max((points + 0.5) / tolerance - 1, 0) - 0.002)
    assert out[called].mean() == pytest.approx(want, abs=4 * np.sqrt(want * (1 - want) / (n / 2)))
    rest = 1 - np.exp(-max(points / tolerance - 1, 0))
    assert out[~called].mean() == pytest.approx(rest, abs=4 * np.sqrt(rest * (1 - rest) / (n / 2)) + 1e-12)


def test_the_draw_is_compared_as_the_chance_is() -> None:
    """An owner goes where the draw is below the chance, as the formula says it; never unannoyed and uncalled."""
    n, rng = 200_000, np.random.default_rng(1)
    draws, tolerance = rng.random((2, n)), rng.uniform(4.0, 8.0, n)
    draws[0, :3] = 0.0
    before = begin_patience(n)._replace(annoyance=rng.uniform(0.0, 40.0, n), times=rng.integers(0, 4, n))
    called, violated, refused = rng.random(n) < 0.5, rng.random(n) < 0.1, rng.integers(0, 3, n)
    got = after_day(before, called, violated, tolerance, draws, SPEC, refused)
    points = before.annoyance * 0.5 ** (1 / 7) + 0.5 * called + 2.0 * violated + 0.1 * refused
    assert np.array_equal(got.annoyance, points)
    leaves = draws[0] < 1.0 - np.exp(-np.maximum(points / tolerance - 1.0, 0.0) - 0.002 * called)
    leaves &= before.times < 3
    assert np.array_equal(got.times, before.times + leaves)
    assert np.array_equal(got.days_out, np.where(leaves, 1 + extra_days(draws[1], SPEC.return_share), 0))
    idle = after_day(begin_patience(n), ~called & called, ~called & called, tolerance, draws, SPEC)
    assert not idle.times.any()


def test_days_out_are_one_and_a_geometric_number_of_mean_two() -> None:
    extra = extra_days(np.random.default_rng(0).random(200_000), SPEC.return_share)
    assert extra.min() == 0
    assert extra.mean() == pytest.approx(2.0, abs=0.03)
    assert (extra == 0).mean() == pytest.approx(1 / 3, abs=0.005)


def test_an_owner_comes_back_and_leaves_for_good_the_third_time() -> None:
    # always leaves when it may, for one day and one more
    draws, tolerance = np.array([[0.0], [0.4]]), np.array([0.01])
    assert extra_days(draws[1], SPEC.return_share)[0] == 1
    state, seen, said = begin_patience(1), [], []
    for _ in range(8):
        in_today = not is_out(state, SPEC)[0]
        state = after_day(state, np.array([in_today]), np.array([in_today]), tolerance, draws, SPEC)
        seen.append(bool(is_out(state, SPEC)[0]))
        said.append(bool(is_out(state, SPEC, 1)[0]))
        if state.times[0] == 1 and len(seen) == 2:
            # the second day out is its last: it forgives, and is called again
            state = state._replace(annoyance=np.zeros(1))
    assert seen[:2] == [True, True]
    assert said[0], "who opts out says for how long"
    assert state.times[0] == 3
    assert all(seen[-3:])
    assert is_out(state, SPEC, 10_000)[0], "for good"


def test_draws_are_of_the_home_and_the_day_and_of_no_policy() -> None:
    a = patience_draws(7, 3, 50)
    assert np.array_equal(a, patience_draws(7, 3, 50))
    assert not np.array_equal(a, patience_draws(7, 4, 50))
    assert not np.array_equal(a, patience_draws(8, 3, 50))
    assert a.min() >= 0.0
    assert a.max() < 1.0


def test_endless_patience_is_annoyed_and_stays() -> None:
    patience = Patience(OwnersSpec(patience="endless"), [0], np.ones((1, 5)))
    for day in range(20):
        patience.add(np.ones((1, 5)), np.ones((5, 1, 5), dtype=bool))
        patience.end_day(day)
    assert not patience.absent().any()
    assert not patience.lost().any()
    assert (patience.strain() > 5.0).all()
    assert load_scenario("reference").owners.patience == "endless"
    assert load_scenario("august").owners.patience == "finite"


# -- in the world ------------------------------------------------------------------------------------------


def absent_hours(world: World, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Play careless bids that override everything: (known at the gate, absent when played) of every opportunity."""
    rng, rows, out = np.random.default_rng(seed), world.n_months * world.n_homes, []
    while not world.done:
        known = world.absent
        o = world.step(random_actions(rng, rows, "sell"), override=np.ones(rows, dtype=bool))
        rows_ = o.ledger[:, o.absent]
        for row in (led.L_SOLD, led.L_CALLED, led.L_BOUGHT, led.L_RESERVE, led.L_AWARD, led.L_DEFER, led.L_BEYOND):
            assert not rows_[row].any(), "an owner who is out sells, buys and promises nothing"
        assert not o.offers.sell_q[o.absent].any()
        energy = rows_[led.L_MARKET] + rows_[led.L_FORCED]
        np.testing.assert_allclose(energy, 0.0, atol=1e-9, err_msg="what is left is charging that must be made up for")
        assert not world.headroom.storage[world.absent].any()
        out.append((known, o.absent.ravel()))
    return out


@pytest.mark.parametrize("lead", [0, 75])
def test_who_is_out_is_at_its_baseline_whatever_is_bid(lead: int) -> None:
    changes = WEEK | {"market.gate_lead_minutes": lead, "market.safeguard": True}
    world = begin(month("week20", changes, 1))
    hours = absent_hours(world)
    assert not hours[23][1].any(), "nobody is out on the first day"
    assert hours[24][1].sum() > 5, "the test can fail"
    if lead == 0:
        assert all(np.array_equal(known, played) for known, played in hours), "without a lead the gate knows"
    else:
        # the gates of tonight's last hours are for tomorrow, of which nobody has said anything yet
        steps = world.lead
        assert not any(known.any() for known, _ in hours[: 24 - steps])
        assert not hours[24 - steps][0].any()
        assert hours[24][0].any()


def test_a_deferred_car_of_an_absent_owner_is_still_charged_in_time() -> None:
    """Physics goes on: what was deferred before the owner opted out is bought back, and settled as forced."""
    changes = WEEK | {"fleet.share_ev": 1.0, "fleet.share_bess": 0.9, "owners.called_risk": 3.0}
    world = begin(month("week20", changes, 2))
    rng, forced = np.random.default_rng(0), 0.0
    while not world.done:
        o = world.step(random_actions(rng, world.n_homes, "sell"))
        forced += float(o.ledger[led.L_FORCED][o.absent].sum())
        assert not (o.missed[o.absent] > 0).any()
    assert forced > 0.0


def test_views_say_who_is_out_and_what_it_offers() -> None:
    world = begin(month("week20", WEEK, 1))
    play(world, 0, "sell", 30)
    homes = build_view(world, Information.OWN).homes
    assert np.array_equal(homes.absent, world.absent)
    assert homes.absent.any()
    assert not homes.absent.all()
    for name in ("defer_kw", "bess_sell_kw", "bess_sell_hard_kw", "v2g_sell_hard_kw", "bess_buy_kw", "reserve_hard_kw"):
        assert not getattr(homes, name)[homes.absent].any(), name
    assert homes.bess_sell_hard_kw[~homes.absent].any()
    assert not homes.absent.flags.writeable
    assert len(LIMITS) == len(world.headroom) - 4


def test_months_side_by_side_tire_as_they_do_alone() -> None:
    months = [month("week20", WEEK, seed) for seed in (1, 2)]
    together, alone = begin(*months), [begin(m) for m in months]
    rng, n, seen = np.random.default_rng(0), 20, 0
    while not together.done:
        bids = random_actions(rng, 2 * n, "sell")
        both = together.step(bids)
        for m, world in enumerate(alone):
            one = world.step(bids[m * n : (m + 1) * n])
            assert np.array_equal(both.absent[m], one.absent[0])
            assert np.array_equal(both.ledger[:, m], one.ledger[:, 0])
            seen += int(one.absent.sum())
    assert seen > 0
    together.reset()
    assert not together.patience.absent().any(), "a new month begins with everybody in"


def test_nobody_tires_of_idle_or_when_patience_is_endless() -> None:
    assert not any(o.absent.any() for o in play(begin(month("week20", WEEK | {"owners.patience": "endless"}, 1)), 0))
    run = simulate(month("week20", WEEK, 1), make_policy("idle"))
    assert not run.world.patience.strain().any()
    assert not run.world.patience.absent().any()


def test_with_nobody_out_the_world_is_as_it_was() -> None:
    changes = {"time.duration_hours": 48, "fleet.share_bess": 1.0}
    finite = month("week20", changes | {"owners.tolerance_factor": 1e6, "owners.called_risk": 0.0})
    endless = month("week20", changes | {"owners.patience": "endless"})
    for a, b in zip(play(begin(finite), 3), play(begin(endless), 3), strict=True):
        for x, y in zip(leaves(dataclasses.astuple(a)), leaves(dataclasses.astuple(b)), strict=True):
            assert np.array_equal(x, y)


# -- in the results ----------------------------------------------------------------------------------------

HONEST = ("truthful", "auction", "agentic", "dual")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", ["week20", "august"])
def test_idle_contents_nobody_more_than_an_honest_policy(case: str, seed: int) -> None:
    """Nobody's consent is taken as checked: even so those who dispatch inside preferences are at least as content."""
    played = month(case, {} if case == "week20" else {"time.duration_hours": 96}, seed)
    idle = summarize(simulate(played, make_policy("idle")))["avg_satisfaction"]
    for name in HONEST:
        run = simulate(played, make_policy(name))
        kpi = summarize(run)
        assert kpi.total_violations.total == 0, name
        assert kpi["avg_satisfaction"] >= idle, name
    run = simulate(played, make_policy("truthful"), audit=Audit(Verdict.VERIFIED, Information.OWN, 0, (), ()))
    assert summarize(run)["avg_satisfaction"] > idle + 0.05


def test_days_out_are_counted_once_in_every_table() -> None:
    run = simulate(month("week20", WEEK, 1), make_policy("random"))
    kpi, table = summarize(run), run.record.opportunities()
    by_day = table.groupby(table["timestamp"].dt.normalize())[["owners_out", "owners_lost"]]
    assert (by_day.min() == by_day.max()).all(axis=None), "owners decide at midnight"
    assert kpi["opt_out_days"] == by_day.max()["owners_out"].sum() > 0
    assert kpi["opt_out_share"] == pytest.approx(kpi["opt_out_days"] / (3 * 20))
    homes = prosumer_table(run.record, run.world.scenario.satisfaction, run.info)
    assert homes["days_out"].sum() == kpi["opt_out_days"]
    assert homes["lost"].sum() == kpi["owners_lost"]
    assert (by_day.max()["owners_lost"] <= by_day.max()["owners_out"]).all()


def test_patience_decides_who_is_still_there() -> None:
    """The less owners bear, the more days they are out; and with endless patience none."""
    base = {"time.duration_hours": 240, "fleet.share_bess": 1.0}
    days = [
        summarize(simulate(month("week20", base | {"owners.tolerance_factor": f}, 1), make_policy("random")))
        for f in (0.25, 0.5, 1.0, 4.0)
    ]
    out = [kpi["opt_out_days"] for kpi in days]
    assert out == sorted(out, reverse=True)
    assert out[0] > out[-1]
    endless = summarize(simulate(month("week20", base | {"owners.patience": "endless"}, 1), make_policy("random")))
    assert endless["opt_out_days"] == endless["owners_lost"] == 0
