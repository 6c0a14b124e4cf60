"""The audit: who sees more than it declares is refuted, with the gate and the row; who does not is verified."""

from __future__ import annotations

import dataclasses
import itertools
from contextlib import contextmanager
from typing import Any

import cheats
import numpy as np
import pytest
from support import begin, month

from vpp_env.contract.policy import make_policy, policy_names
from vpp_env.contract.views import Information
from vpp_env.errors import VppError
from vpp_env.evaluation import audit as audit_module
from vpp_env.evaluation.audit import HIDDEN, LEAST, MOST, ROWS, WAYS, audit, other_rows, separating_groups
from vpp_env.evaluation.hidden import HIDDEN_WAYS, HIGH, LOW, MIXED, _drawn, altered_ahead, own_copy
from vpp_env.evaluation.verdict import Audit, Verdict
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

SHORT = {
    "fleet.size": 8,
    "time.duration_hours": 6,
    "fleet.share_bess": 1.0,
    "fleet.share_ev": 0.5,
    "market.min_bid_mw": 0.0,
}


@contextmanager
def _here(spec: str, timeout_s: float = 0.0) -> Any:
    """A cheat in this process: where isolation is not what stops it."""
    name, _, options = spec.removeprefix("cheats:").partition("(")
    if hasattr(cheats, name):
        yield getattr(cheats, name)(**dict(eval(f"dict({options}" if options else "dict()")))
    else:
        yield make_policy(spec)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "player", _here)


@pytest.mark.parametrize("name", policy_names())
def test_every_policy_of_the_registry_is_what_it_declares(name: str) -> None:
    gates: list[tuple[int, int]] = []
    found = audit(month("week20", SHORT, 1), name, on_gate=lambda *far: gates.append(far))
    assert found.verdict is Verdict.VERIFIED, found
    most = gates[0][1] if gates else 0
    assert gates == [(k + 1, most) for k in range(most)], "it is told how far it is, to the end"
    assert bool(gates) == (found.information is not Information.ORACLE)
    assert found.separate == (make_policy(name).info.information is Information.OWN)


@pytest.mark.parametrize("name", ["Honest", "Keeps"])
@pytest.mark.usefixtures("here")
def test_an_honest_policy_is_verified(name: str) -> None:
    found = audit(month("week20", SHORT), f"cheats:{name}")
    assert (found.verdict, found.evidence, found.separate) == (Verdict.VERIFIED, (), True)
    assert ROWS in found.checked
    assert found.gates == 6


@pytest.mark.parametrize("name", ["Mixes", "Remembers"])
@pytest.mark.usefixtures("here")
def test_rows_that_are_mixed_are_refuted(name: str) -> None:
    found = audit(month("week20", SHORT), f"cheats:{name}")
    assert found.verdict is Verdict.REFUTED
    assert not found.separate
    first = found.evidence[0]
    assert (first.part, first.altered) == ("actions", ROWS)
    assert 0 <= first.row < 8
    assert first.gate == (1 if name == "Remembers" else 0)


@pytest.mark.usefixtures("here")
def test_a_fuzz_of_illegal_reads_is_never_verified() -> None:
    """200 cheats: some home's ask follows some field of some other home."""
    rng = np.random.default_rng(0)
    m = month("week20", SHORT | {"time.duration_hours": 2})
    homes = build_view(begin(m), Information.OWN).homes
    has = (homes.storage_sell_kw > 0.05) & (homes.own_ask < 0.4)
    for _ in range(200):
        row = int(rng.choice(np.flatnonzero(has)))
        other = int(rng.choice([j for j in range(8) if j != row]))
        part = str(rng.choice(["soc_kwh", "own_ask", "bess_kwh", "floor_kwh", "willingness", "day_limit_kwh"]))
        found = audit(m, f"cheats:Follows(row={row}, other={other}, part={part!r})", seed=int(rng.integers(99)))
        assert found.verdict is Verdict.REFUTED, (row, other, part)
        assert {f.row for f in found.evidence} == {row}


@pytest.mark.usefixtures("here")
def test_who_looks_at_the_world_behind_a_frame_is_refuted() -> None:
    found = audit(month("week20", SHORT), "cheats:Peeks", seed=1)
    assert found.verdict is Verdict.REFUTED
    assert found.evidence[0].altered == HIDDEN


@pytest.mark.usefixtures("here")
def test_who_draws_its_own_numbers_is_no_more_than_claimed() -> None:
    found = audit(month("week20", SHORT), "cheats:Rolls")
    assert found.verdict is Verdict.CLAIMED
    assert "not deterministic" in found.reason


def test_in_a_process_of_its_own_there_is_no_world_to_find() -> None:
    m = month("week20", SHORT | {"time.duration_hours": 3, "fleet.size": 3})
    for name, verdict in (("Searches", Verdict.VERIFIED), ("Peeks", Verdict.VERIFIED), ("Mixes", Verdict.REFUTED)):
        assert audit(m, f"cheats:{name}", gates=1).verdict is verdict, name


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20, 200])
def test_groups_separate_every_ordered_pair(n: int) -> None:
    groups = separating_groups(n, np.random.default_rng(n))
    assert all(any(g[i] and not g[j] for g in groups) for i, j in itertools.permutations(range(n), 2))
    assert len(groups) <= {200: 10, 20: 6}.get(n, n + 1)


def test_altered_rows_are_others_and_kept_ones_are_not() -> None:
    homes = build_view(begin(month("week20", SHORT)), Information.OWN).homes
    kept = np.arange(8) < 4
    for way in range(WAYS):
        other = other_rows(homes, kept, np.random.default_rng(0), way)
        for part in ("soc_kwh", "own_ask", "load_forecast_kw", "plugged", "ev_priority"):
            assert np.array_equal(getattr(homes, part)[..., kept], getattr(other, part)[..., kept])
            assert getattr(homes, part).dtype == getattr(other, part).dtype
        for part in ("soc_kwh", "load_forecast_kw"):
            assert (getattr(homes, part)[..., ~kept] != getattr(other, part)[..., ~kept]).all()
        assert (homes.own_ask[~kept] != other.own_ask[~kept]).any()


@pytest.mark.parametrize("statistic", [np.mean, np.max, np.min, np.any, np.all, np.sum])
@pytest.mark.parametrize("part", ["plugged", "soc_kwh", "load_kw", "ev_priority"])
def test_who_is_left_alone_sees_every_statistic_changed(statistic: Any, part: str) -> None:
    """Unless it is a figure of its own row: one of the two ways answers otherwise."""
    homes = build_view(begin(month("week20", SHORT)), Information.OWN).homes
    real = getattr(homes, part)
    for i in range(8):
        kept = np.arange(8) == i
        least, most = (getattr(other_rows(homes, kept, np.random.default_rng(0), way), part) for way in (LEAST, MOST))
        assert least[i] == most[i] == real[i]
        own = statistic(real[[i]] * (8 if statistic is np.sum else 1))
        if statistic(real) != own:
            assert {statistic(least), statistic(most)} != {statistic(real)}
        assert not least[~kept].any()
        assert (most[~kept] >= real.max()).all()


def same(a: Any, b: Any) -> bool:
    """Whether two records hold the same values."""
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a)]
    pairs += [(x[k], y[k]) for x, y in pairs if isinstance(x, dict) for k in x]
    return all(np.array_equal(x, y) for x, y in pairs if not isinstance(x, dict))


@pytest.mark.parametrize("way", HIDDEN_WAYS)
def test_what_is_hidden_is_another_one_while_a_policy_is_asked_and_back_after_it(way: int) -> None:
    firm = {"market.firm_capacity": True, "time.duration_hours": 80}
    brains = {"owners.brains": (("truthful", 0.5), ("liar(2)", 0.5))}
    m = month("week20", SHORT | firm | brains)
    a, b = begin(m), World([own_copy(m)])
    b.reset()
    rng = np.random.default_rng(0)
    while not a.done:
        views = {i: build_view(a, i) for i in (Information.FULL, Information.ORACLE)}
        real = views[Information.ORACLE].foresight()
        drawn, evening = a.exchange.firm, sum(e.stop <= a.t for e in a.exchange.firm.evenings)
        with altered_ahead(b, rng, way):
            seen = build_view(b, Information.FULL)
            assert same(seen.homes, views[Information.FULL].homes)
            assert same(seen.public, views[Information.FULL].public)
            other = build_view(b, Information.ORACLE)
            future, told = other.future(1), views[Information.ORACLE].future(1)
            for name in ("rt_usd_per_kwh", "load_kw"):
                assert (getattr(future, name) != getattr(told, name)).all(), name
            assert ((future.pv_kw != told.pv_kw) == ((told.pv_kw > 0.0) | (way != LOW))).all()
            assert (future.called == {MIXED: ~told.called, LOW: False, HIGH: True}[way]).all()
            ahead = other.foresight()
            assert (ahead.lmp != real.lmp).all()
            assert (ahead.shortage_kw != real.shortage_kw).any()
            fleet = b.months[0].fleet
            assert not np.array_equal(fleet.hassle_value, m.fleet.hassle_value)
            assert b.months[0].seed != m.seed
            stays = {MIXED: ~drawn._stays, LOW: np.zeros_like(drawn._stays), HIGH: np.ones_like(drawn._stays)}[way]
            assert np.array_equal(b.exchange.firm._stays[0, evening:], stays[0, evening:])
            assert (b.patience._state.annoyance != a.patience._state.annoyance).all()
            assert np.array_equal(b.absent, a.absent)
            assert (b.table._trusts_from != a.table._trusts_from).all() == (way != LOW)
            assert (b.table.mixture.of_home != a.table.mixture.of_home).all()
        actions = rng.uniform(-1, 1, (8, 8))
        assert np.array_equal(a.step(actions).ledger, b.step(actions).ledger)
    assert b.months[0].fleet is m.fleet
    assert b.months[0].firm is m.firm
    assert np.array_equal(b.table.mixture.of_home, a.table.mixture.of_home)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_mean_of_flags_of_which_half_are_set_is_another_one_in_some_way(share: float) -> None:
    """Turning every flag leaves the mean of such flags what it was: a cheat of the fuzzer was verified so."""
    flags = np.arange(40) < 40 * share
    for statistic in (np.mean, np.any, np.all):
        said = {float(statistic(_drawn(flags, np.random.default_rng(0), way))) for way in HIDDEN_WAYS}
        assert said != {float(statistic(flags))}


def test_an_audit_says_what_it_cannot_do() -> None:
    with pytest.raises(VppError, match="allowed is 1 or more"):
        audit(month("week20", SHORT), "truthful", gates=0)
    assert not Audit(Verdict.CLAIMED, Information.OWN, 0, 0, ()).separate
