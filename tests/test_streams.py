"""Random streams: the policy's apart from the world's, and worlds with a salt."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from support import begin, month, play, same, scenario

from vpp_env.errors import ScenarioError, UnknownNameError
from vpp_env.evaluation.simulate import policy_rng, simulate
from vpp_env.scenario.streams import (
    SALT_VARIABLE,
    STREAMS,
    policy_stream,
    salt_hash,
    salt_of_environment,
    stream,
    world_seed,
)
from vpp_env.simulation.month import Month

SALT, OTHER = "a secret of sixteen characters", "another secret of sixteen characters"
SEED = 918_273_645
"""No number that turns up by chance."""


def numbers(x: Any, depth: int = 6) -> set[int]:
    """Every integer that attributes, items and states of `x` lead to."""
    if isinstance(x, bool | np.bool_) or x is None or depth == 0:
        return set()
    if isinstance(x, int | np.integer):
        return {int(x)}
    if isinstance(x, np.ndarray):
        return {int(v) for v in x.ravel()} if x.dtype.kind in "iu" else set()
    if isinstance(x, dict):
        return set().union(*(numbers(v, depth - 1) for v in x.values()), set())
    if isinstance(x, list | tuple | set):
        return set().union(*(numbers(v, depth - 1) for v in x), set())
    names = [n for n in dir(x) if not n.startswith("__")] if type(x).__module__.startswith("numpy") else []
    parts = [getattr(x, n, None) for n in names]
    return set().union(*(numbers(v, depth - 1) for v in parts if not callable(v)), set())


def test_the_worlds_seed_cannot_be_read_off_the_policys_stream() -> None:
    rng = policy_rng(SEED)
    found = numbers(rng) | numbers(rng.bit_generator.seed_seq)  # type: ignore[attr-defined]
    assert len(found) > 2, "the walk finds what a stream is made of"
    assert SEED not in found
    assert str(SEED).encode() not in pickle.dumps(rng)
    assert SEED in numbers(stream(SEED, "fleet")), "the walk would find it"


def test_no_stream_of_the_world_follows_from_the_policys() -> None:
    """What was done: `stream(rng.bit_generator.seed_seq.entropy, ...)` gave the prices."""
    entropy = policy_rng(3).bit_generator.seed_seq.entropy  # type: ignore[attr-defined]
    for name in STREAMS:
        assert stream(entropy, name).random() != stream(3, name).random()
    assert "policy" not in STREAMS
    with pytest.raises(UnknownNameError):
        stream(3, "policy")


def test_a_policys_stream_is_the_same_for_every_policy_of_a_world_and_of_no_other() -> None:
    first = policy_stream(5).random(4)
    assert np.array_equal(first, policy_stream(5).random(4))
    assert np.array_equal(first, Month(scenario("quick"), 5).policy_rng().random(4))
    others = [
        policy_stream(6),
        policy_stream(5, SALT),
        policy_stream(5, OTHER),
        Month(scenario("quick"), 5, salt=SALT).policy_rng(),
    ]
    drawn = [rng.random() for rng in others]
    assert first[0] not in drawn
    assert drawn[1] == drawn[3]
    assert len(set(drawn)) == 3


def test_a_world_without_a_salt_is_what_its_seed_says() -> None:
    assert world_seed(7) == 7
    assert world_seed(7, None) == 7
    m = Month(scenario("quick"), 7)
    assert (m.salt_hash, m.world_seed) == (None, 7)


def test_a_salt_changes_every_stream_of_a_world() -> None:
    plain, salted, again, other = (Month(scenario("week20"), 7, salt=s) for s in (None, SALT, SALT, OTHER))
    assert all(same(a, b) for a, b in zip(play(begin(salted), 0, limit=9), play(begin(again), 0, limit=9), strict=True))
    for m in (plain, other):
        assert not np.array_equal(m.series.rt_usd_per_mwh, salted.series.rt_usd_per_mwh)
        assert not np.array_equal(m.series.da_usd_per_mwh, salted.series.da_usd_per_mwh)
        assert not np.array_equal(m.fleet.willingness, salted.fleet.willingness)
        assert not np.array_equal(m.acceptance, salted.acceptance)
        assert not np.array_equal(m.traces(0).load_kw, salted.traces(0).load_kw)
        assert not np.array_equal(m.traces(0).arr_step, salted.traces(0).arr_step)
        assert m.statements != salted.statements
    assert salted.seed == 7
    for name in STREAMS:
        assert stream(7, name).random() != stream(salted.world_seed, name).random()


def test_of_a_salt_only_its_hash_is_recorded() -> None:
    salted = Month(scenario("quick"), 7, salt=SALT)
    assert salted.salt_hash == salt_hash(SALT)
    assert len(str(salted.salt_hash)) == 64
    assert salt_hash(SALT) != salt_hash(OTHER)
    run = simulate(salted, month_policy())
    tables = (run.record.opportunities(), run.record.interval_table())
    assert not any(SALT in table.to_csv() for table in tables)


def month_policy() -> Any:
    from vpp_env.contract.policy import make_policy

    return make_policy("truthful")


def test_a_short_salt_is_refused_and_not_repeated() -> None:
    with pytest.raises(ScenarioError, match="allowed are 16 or more") as caught:
        Month(scenario("quick"), 0, salt="hunter2")
    assert "hunter2" not in str(caught.value)


def test_the_salt_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SALT_VARIABLE, raising=False)
    with pytest.raises(ScenarioError, match=SALT_VARIABLE):
        salt_of_environment()
    monkeypatch.setenv(SALT_VARIABLE, SALT)
    assert salt_of_environment() == SALT


def test_seeds_and_salts_do_not_run_together() -> None:
    assert world_seed(1, SALT + "1") != world_seed(11, SALT)
    assert len({world_seed(s, SALT) for s in range(100)}) == 100
    assert month("quick").salt_hash is None
