"""Blindness: what has not happened yet changes no byte of any view, observation or honest bid."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from support import begin, leaves, month, random_actions

from vpp_env.api.observation import Observer
from vpp_env.contract.policy import make_policy, policy_names
from vpp_env.contract.views import Homes, Information, View
from vpp_env.errors import InformationError, VppError
from vpp_env.evaluation.simulate import market_rules, policy_rng
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World
from vpp_env.traces.series import DayTraces, MarketSeries
from vpp_env.traces.vehicles import CarDay

BASE = {
    "fleet.size": 12,
    "fleet.share_ev": 0.8,
    "fleet.share_bess": 0.8,
    "fleet.v2g_share": 0.5,
    "time.duration_hours": 40,
    "market.min_bid_mw": 0.0,
    "market.call_probability": 0.2,
}
CASES = {
    "midnight": {"time.start": "2023-08-02T00:00"},
    "morning": {"time.start": "2023-08-02T06:00", "market.regulation": True},
    "own_use": {
        "time.start": "2023-08-02T00:00",
        "home.control": "self_consumption",
        "market.max_share_of_flexible": 0.7,
    },
    "reference": {"time.start": "2023-08-03T11:00", "time.opportunity_minutes": 30},
    "clock": {"time.start": "2023-11-04T10:00"},
    "whole_market": {
        "time.start": "2023-08-02T03:00",
        "market.clearing": "logit",
        "market.programme": "elrp",
        "market.programme_temp_c": 30.0,
        "market.two_settlement": True,
        "market.gate_lead_minutes": 75,
    },
    "own_price": {"time.start": "2023-08-02T12:00", "market.clearing": "residual_supply"},
}
GATES = [0, 5, 9, 14, 22, 31]
"""Opportunities at which the future is torn up, and everything up to it is compared."""


def case(name: str) -> Month:
    return month("reference" if name == "reference" else "week20", BASE | CASES[name], 3)


class OtherFuture:
    """Traces that differ from the true ones from step `t` of the run on, and only there."""

    def __init__(self, m: Month, t: int) -> None:
        self._true, calendar = m._homes, m.calendar
        self._day, self._k = int(calendar.day[t]), int(calendar.step_of_day[t])

    def day(self, day: int) -> DayTraces:
        d = self._true.day(day)
        first = self._k if day == self._day else 0 if day > self._day else len(d.load_kw)
        load, pv = d.load_kw.copy(), d.pv_kw.copy()
        load[first:] = 2.0 * load[first:] + 3.0
        pv[first:] = np.where(pv[first:] > 0, 0.1, 7.0)
        return DayTraces(load, pv, *self.vehicle_day(day))

    def vehicle_day(self, day: int) -> CarDay:
        """Sessions that have not begun begin later, after less driving; an owner says when one that has begun ends."""
        d = self._true.day(day)
        n = len(d.load_kw)
        car = CarDay(d.dep_step.copy(), d.arr_step.copy(), d.out_step.copy(), d.trip_kwh.copy())
        if day < self._day:
            return car
        later = (car.arr < n) & ((car.arr > self._k) | (day > self._day))
        moved = later & (car.arr < np.minimum(car.out, n) - 3)
        car.arr[moved] += 2
        car.trip[later] *= 0.5
        return car


def torn(m: Month, t: int) -> Month:
    """The same month up to step t, and another one from then on."""
    made = copy.copy(m)
    world = begin(m)
    while world.t < t:
        world.step(np.zeros((m.fleet.n, 8)))
    # the day-ahead prices of the delivery day are public; the next day's at 13:00
    local = m.calendar.local[t]
    days = 2 if local.hour >= 13 else 1
    published_until = (local.tz_localize(None).normalize() + timedelta(days=days)).tz_localize(local.tz)
    known = t + round((published_until - local).total_seconds() / 900)
    old, rng = m.series, np.random.default_rng(t)
    da, rt = old.da_usd_per_mwh.copy(), old.rt_usd_per_mwh.copy()
    da[known:] = rng.permutation(da[known:]) - 75.0
    rt[t:] = rng.permutation(rt[t:]) + 300.0
    rho = {k: v.copy() for k, v in old.reserve_usd_per_mw.items()}
    for values in rho.values():
        values[t:] = rng.permutation(values[t:]) + 11.0
    made.series = dataclasses.replace(old, da_usd_per_mwh=da, rt_usd_per_mwh=rt, reserve_usd_per_mw=rho)
    made.calls = np.concatenate([m.calls[:t], ~m.calls[t:]])
    made.events = np.concatenate([m.events[:known], ~m.events[known:]])
    made.acceptance = np.concatenate([m.acceptance[:t], -m.acceptance[t:]])
    made._homes = OtherFuture(m, t)
    made._days = type(m._days)()
    made._baseline_start = {0: m._baseline_start[0]}
    return made


def content(x: Any) -> Any:
    """Everything in a part of a view as bytes."""
    if dataclasses.is_dataclass(x):
        return {f.name: content(getattr(x, f.name)) for f in dataclasses.fields(x)}
    if isinstance(x, dict):
        return {k: content(v) for k, v in x.items()}
    return (x.shape, x.dtype.str, x.tobytes()) if isinstance(x, np.ndarray) else x


def seen(world: World, information: Information) -> Any:
    view = build_view(world, information)
    return content(view.public), content(view.homes), Observer(world).matrix().tobytes()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("gate", GATES)
def test_the_future_changes_no_byte_of_a_view(name: str, gate: int) -> None:
    m = case(name)
    t = gate * m.scenario.steps_per_opportunity
    true, other = begin(m), begin(torn(m, t))
    rng = np.random.default_rng(gate)
    while true.opportunity < gate:
        a = random_actions(rng, true.n_homes)
        assert seen(true, Information.OWN) == seen(other, Information.OWN)
        true.step(a)
        other.step(a)
    for information in (Information.OWN, Information.DECLARED, Information.FULL):
        assert seen(true, information) == seen(other, information), "at the gate itself"
    # the test can fail: the oracle sees the difference, and so does everybody one opportunity later
    assert content(build_view(true, Information.ORACLE).future(6)) != content(
        build_view(other, Information.ORACLE).future(6)
    )
    a = random_actions(rng, true.n_homes)
    true.step(a)
    other.step(a)
    assert seen(true, Information.OWN) != seen(other, Information.OWN)


HONEST = [n for n in policy_names() if make_policy(n).info.information is not Information.ORACLE]


def bids(name: str, m: Month, gates: int) -> list[bytes]:
    policy, world = make_policy(name), begin(m)
    policy.reset(market_rules(world), policy_rng(m.seed))
    made = []
    for _ in range(gates):
        b = policy.act(build_view(world, policy.info.information))
        made.append(b.actions.tobytes())
        world.step(b.actions)
    return made


@pytest.mark.parametrize("policy", HONEST)
@pytest.mark.parametrize("name", ["midnight", "morning"])
@pytest.mark.parametrize("gate", [6, 15])
def test_prices_after_the_gate_change_no_bid(policy: str, name: str, gate: int) -> None:
    m = case(name)
    other = torn(m, gate * m.scenario.steps_per_opportunity)
    # the bid at the gate itself is the last one that must be the same
    assert bids(policy, m, gate + 1) == bids(policy, other, gate + 1)


def test_there_is_somebody_honest() -> None:
    assert {"idle", "random", "truthful"} <= set(HONEST)
    assert "centralized" not in HONEST


def change_home(homes: Homes, j: int) -> Homes:
    """The same rows but one, whose state and preferences are all different."""
    changed = {}
    for f in dataclasses.fields(homes):
        x = getattr(homes, f.name).copy()
        row = x[..., j]
        x[..., j] = ~row if x.dtype == bool else row * 0.5 + (1 if x.dtype.kind == "i" else 0.03)
        changed[f.name] = x
    return Homes(**changed)


@pytest.mark.parametrize("policy", [n for n in HONEST if make_policy(n).info.information is Information.OWN])
def test_a_bid_follows_from_its_own_row(policy: str) -> None:
    world = begin(case("midnight"))
    others_changed = 0
    for j in range(0, world.n_homes, 2):
        view = build_view(world, Information.OWN)
        poked = dataclasses.replace(view, homes=change_home(view.homes, j))
        made = []
        for v in (view, poked):
            player = make_policy(policy)
            player.reset(market_rules(world), policy_rng(0))
            made.append(player.act(v).actions)
        rest = np.arange(world.n_homes) != j
        assert np.array_equal(made[0][rest], made[1][rest])
        others_changed += int(not np.array_equal(made[0][j], made[1][j]))
        for _ in range(3):
            world.step(made[0])
    if policy == "truthful":
        assert others_changed > 0, "a home's own row does matter to itself"


def test_asking_for_more_than_was_declared_is_refused() -> None:
    world = begin(case("midnight"))
    own, declared = build_view(world, Information.OWN), build_view(world, Information.DECLARED)
    with pytest.raises(InformationError, match=r"future.*OWN.*ORACLE"):
        own.future(1)
    with pytest.raises(InformationError, match=r"statement.*OWN.*DECLARED"):
        own.statement(0)
    assert isinstance(declared.statement(0), str)
    for information in (Information.DECLARED, Information.FULL):
        with pytest.raises(InformationError):
            build_view(world, information).future(1)
    assert len(build_view(world, Information.ORACLE).future(1).rt_usd_per_kwh) == 4


def arrays(x: Any) -> list[np.ndarray]:
    if dataclasses.is_dataclass(x):
        return [a for f in dataclasses.fields(x) for a in arrays(getattr(x, f.name))]
    if isinstance(x, dict):
        return [a for v in x.values() for a in arrays(v)]
    return [x] if isinstance(x, np.ndarray) else []


def test_views_are_read_only_copies() -> None:
    world = begin(case("midnight"))
    for _ in range(3):
        world.step(np.zeros((world.n_homes, 8)))
    view = build_view(world, Information.ORACLE)
    live = leaves((world.state, world.headroom, world.parameters))
    live += [world.load_past, world.last_ledger, world.exchange.da, world.exchange.rt, world.exchange.rho]
    live += arrays(world.months[0].fleet) + arrays(world.months[0].series)
    parts = arrays(view.public) + arrays(view.homes) + arrays(view.future(4)) + arrays(market_rules(world))
    assert len(parts) > 50
    for array in parts:
        assert not array.flags.writeable
        assert not any(np.shares_memory(array, x) for x in live)
    with pytest.raises(ValueError, match="read-only"):
        view.homes.soc_kwh[0] = 0.0


def declared(kind: type) -> dict[str, tuple[bool, np.dtype[Any]]]:
    """Array field of a record -> whether it is a dict of arrays, and the dtype that its annotation says."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        mapped = get_origin(hint) is dict
        array = get_args(hint)[1] if mapped else hint
        if get_origin(array) is np.ndarray:
            found[name] = mapped, np.dtype(get_args(get_args(array)[1])[0])
    return found


def test_arrays_have_the_type_that_their_field_says() -> None:
    world = begin(case("whole_market"))
    world.step(random_actions(np.random.default_rng(0), world.n_homes))
    view = build_view(world, Information.ORACLE)
    whole = (view.public, view.homes, view.future(6), view.foresight(), world.months[0].fleet, market_rules(world))
    whole += (world.months[0].series, world.months[0].traces(0))
    seen = 0
    for record in whole:
        for name, (mapped, dtype) in declared(type(record)).items():
            value = getattr(record, name)
            for array in value.values() if mapped else [value]:
                assert array.dtype == dtype, f"{type(record).__name__}.{name}"
                assert not array.flags.writeable or isinstance(record, MarketSeries), f"{type(record).__name__}.{name}"
                seen += 1
    assert seen > 100


def test_a_kept_view_never_shows_a_later_gate() -> None:
    world = begin(case("midnight"))
    view = build_view(world, Information.ORACLE)
    expected = content(view.homes), content(view.public)
    future = view.future(1)
    kept = content(future)
    world.step(random_actions(np.random.default_rng(0), world.n_homes))
    assert (content(view.homes), content(view.public)) == expected
    assert content(future) == kept, "what was asked for in time is kept"
    with pytest.raises(InformationError, match="opportunity 0"):
        view.future(1)
    with pytest.raises(InformationError, match="opportunity 0"):
        view.foresight()


COMPILERS = ("numba", "llvmlite", "_dynfunc", "_dispatcher")


def reachable(*roots: Any) -> list[Any]:
    """Everything that can be reached from `roots` by attributes, items, closures and the garbage collector.

    Types, modules, compiled functions and the globals of others are left out: they lead to the whole interpreter from
    anywhere.
    """
    seen: dict[int, Any] = {}
    todo = list(roots)
    while todo:
        x = todo.pop()
        kind = type(x)  # not isinstance: a weak reference's proxy may be dead
        if id(x) in seen or issubclass(kind, type | ModuleType) or kind.__module__.partition(".")[0] in COMPILERS:
            continue
        seen[id(x)] = x
        if isinstance(x, FunctionType):
            todo += [c.cell_contents for c in x.__closure__ or ()]
        else:
            todo += gc.get_referents(x)
            todo += [x.base] if isinstance(x, np.ndarray) and x.base is not None else []
    return list(seen.values())


@pytest.mark.parametrize("information", [Information.OWN, Information.DECLARED, Information.FULL])
def test_no_road_leads_from_a_view_to_the_world(information: Information) -> None:
    world = begin(case("whole_market"))
    world.step(random_actions(np.random.default_rng(0), world.n_homes))
    m, whole = world.months[0], build_view(world, information)
    # who may ask the owners has one object to ask, which is bound to them: what is asked through it is recorded by an
    # audit, and a process of its own holds no such object (tests/owners/test_asking.py)
    assert (whole.table is None) == (information is Information.OWN)
    view = dataclasses.replace(whole, table=None)
    found = reachable(view, market_rules(world), policy_rng(m.seed))
    assert any(x is view.homes.soc_kwh for x in found), "the walk walks"
    hidden = (m.series.rt_usd_per_mwh, m.calls, m.acceptance, m.series, m.fleet, m, world, world.exchange)
    assert not [type(x) for x in found if any(x is h for h in hidden)]
    room = [x for x in found if type(x).__module__.startswith("vpp_env.") and not isinstance(x, Information)]
    assert {type(x).__module__.split(".")[1] for x in room} == {"contract"}, "contracts only"
    ahead = m.series.rt_usd_per_mwh[world.t :]
    for array in (x for x in found if isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        assert not np.isin(ahead / 1000, array).any(), "no price that is still to come"
    assert any(x is world for x in reachable(build_view(world, Information.ORACLE))), "the walk would find it"


def test_writing_a_larger_set_into_a_view_grants_nothing() -> None:
    view = build_view(begin(case("midnight")), Information.OWN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        view.information = Information.ORACLE  # type: ignore[misc]
    object.__setattr__(view, "information", Information.ORACLE)
    for ask in (lambda: view.future(1), view.foresight, lambda: view.statement(0)):
        with pytest.raises(InformationError):
            ask()


@pytest.mark.parametrize("information", Information)
def test_a_view_is_the_same_behind_a_pickle(information: Information) -> None:
    world = begin(case("whole_market"))
    world.step(random_actions(np.random.default_rng(0), world.n_homes))
    view = build_view(world, information)
    copied: View = pickle.loads(pickle.dumps(view))
    assert content(copied.public) == content(view.public)
    assert content(copied.homes) == content(view.homes)
    assert copied.statements == view.statements
    assert not [x for x in reachable(copied) if isinstance(x, World | Month)]
    if information is Information.ORACLE:
        assert content(copied.future(6)) == content(view.future(6))
        assert content(copied.future(1e6)) == content(view.future(1e6))
        assert content(copied.foresight()) == content(view.foresight())
    else:
        with pytest.raises(InformationError):
            copied.future(1)


def test_a_view_of_several_months_is_refused() -> None:
    world = begin(case("midnight"), month("week20", BASE | CASES["midnight"], 4))
    with pytest.raises(VppError, match="2 months; allowed is a world of one"):
        build_view(world, Information.OWN)


@pytest.mark.parametrize(
    ("start", "lengths"),
    [
        # hours of day-ahead prices that are public at 11, 12, 13 and 14 o'clock
        ("2023-08-02T11:00", [13, 12, 35, 34]),
        ("2023-11-04T11:00", [13, 12, 36, 35]),  # tomorrow has 25 hours
        ("2023-11-05T11:00", [13, 12, 35, 34]),
        ("2023-03-11T11:00", [13, 12, 34, 33]),  # tomorrow has 23 hours
    ],
)
def test_tomorrows_prices_are_published_at_one_oclock(start: str, lengths: list[int]) -> None:
    world = begin(month("week20", {"fleet.size": 2, "time.start": start, "time.duration_hours": 5}))
    got = []
    for _ in lengths:
        view = build_view(world, Information.OWN)
        got.append(len(view.public.da_usd_per_kwh))
        t = world.t
        np.testing.assert_array_equal(
            view.public.da_usd_per_kwh, world.months[0].series.da_usd_per_mwh[t : t + got[-1]] / 1000
        )
        np.testing.assert_array_equal(view.public.past_rt_usd_per_kwh, world.months[0].series.rt_usd_per_mwh[:t] / 1000)
        world.step(np.zeros((2, 8)))
    assert got == [4 * n for n in lengths]
    world.reset()  # after one o'clock: what was published then is not public again
    assert len(build_view(world, Information.OWN).public.da_usd_per_kwh) == got[0]


def test_the_midnight_gate_knows_the_day_and_no_more() -> None:
    world = begin(case("midnight"))
    assert len(build_view(world, Information.OWN).public.da_usd_per_kwh) == 96
    assert build_view(world, Information.OWN).public.past_rt_usd_per_kwh.size == 0


def test_the_oracle_sees_what_comes() -> None:
    m = case("midnight")
    world, rng = begin(m), np.random.default_rng(0)
    future = build_view(world, Information.ORACLE).future(12)
    lmp, called = [], []
    for _ in range(12):
        o = world.step(random_actions(rng, world.n_homes, "reserve"))
        lmp += o.lmp[:, 0].tolist()
        called.append(o)
    np.testing.assert_array_equal(future.rt_usd_per_kwh, lmp)
    np.testing.assert_array_equal(future.called, m.calls[:48])
    np.testing.assert_array_equal(future.load_kw, m.day(0)[0].load[:48])
    plan = m.day(0)[0]
    leaves = [(k, i) for ends in (plan.dep, plan.out) for i, k in enumerate(ends) if 0 < k < 48]
    assert all(future.departs[k, i] and not future.plugged[k, i] for k, i in leaves)
    assert future.departs.sum() == len(leaves)
