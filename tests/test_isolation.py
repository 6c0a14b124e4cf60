"""A policy in a process of its own: the same bids, no world, and every way of failing said."""

from __future__ import annotations

import json
import os
import pickle
import time

import numpy as np
import pytest
from cheats import Bomb, Honest, Sees
from support import month

from vpp_env.contract.bids import Bids, DayAheadSchedule
from vpp_env.errors import PolicyError
from vpp_env.evaluation.answers import HEAD, PolicyFailure, decode_answer, encode_answer
from vpp_env.evaluation.isolation import IsolatedPolicy, player
from vpp_env.evaluation.simulate import simulate
from vpp_env.scenario.streams import SALT_VARIABLE

SHORT = {"fleet.size": 8, "time.duration_hours": 6, "fleet.share_bess": 1.0, "market.min_bid_mw": 0.0}


@pytest.mark.parametrize("kind", [Honest, Sees])
def test_a_policy_bids_there_as_it_bids_here(kind: type[Honest]) -> None:
    m = month("week20", SHORT)
    here = simulate(m, kind())
    with player(f"cheats:{kind.__name__}") as policy:
        there = simulate(m, policy)
    assert there.complete
    assert there.info == kind.info
    assert np.array_equal(here.record.totals, there.record.totals)
    assert here.record.totals.any()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Raises", r"^RuntimeError: the model is away \(cheats.py, line \d+\)$"),
        ("Dies", "ended with status 7 during act"),
        ("Asks", "InformationError: view.future"),
        ("Pickles", r"^act\(\) returned a Bomb; allowed is Bids \(|^act\(\) returned a Bomb; allowed is Bids$"),
    ],
)
def test_what_goes_wrong_there_is_said_here(name: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with player(f"cheats:{name}") as policy, pytest.raises(PolicyFailure, match=message) as caught:
        simulate(month("week20", SHORT), policy)
    if name == "Raises":
        assert "cheats.py" in caught.value.trace
    if name == "Dies":
        assert capfd.readouterr().out == "last words\n", "what it prints is passed through"


def test_a_policy_that_hangs_is_ended() -> None:
    begin = time.monotonic()
    policy = IsolatedPolicy("cheats:Hangs")
    policy.timeout_s = 1.0
    with pytest.raises(PolicyFailure, match="act took longer than 1 s"):
        simulate(month("week20", SHORT), policy)
    assert policy._process.returncode is not None
    assert time.monotonic() - begin < 40
    with pytest.raises(PolicyFailure, match="has been ended"):
        policy.reset(None, None)  # type: ignore[arg-type]


def test_ctrl_c_ends_the_run_and_keeps_what_was_played() -> None:
    with player("cheats:Honest") as policy:
        assert isinstance(policy, IsolatedPolicy)
        played = []

        def interrupted(row: object) -> None:
            played.append(row)
            if len(played) == 2:
                raise KeyboardInterrupt

        run = simulate(month("week20", SHORT), policy, interrupted)
    assert not run.complete
    assert len(run.record.rows) == 2
    assert policy._process.returncode is not None


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(PolicyError, match="cannot be imported"), player("cheats:NoSuchClass"):
        pass
    with pytest.raises(PolicyError, match="no options"), player("cheats:Honest(level=3)"):
        pass


def test_a_policy_of_the_registry_plays_here() -> None:
    with player("truthful") as policy:
        assert not isinstance(policy, IsolatedPolicy)


def test_the_salt_does_not_go_there(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv(SALT_VARIABLE, "a secret of sixteen characters")
    source = (
        "import os\nfrom cheats import Honest\n"
        "class Looks(Honest):\n"
        "    def more(self, view):\n"
        "        raise RuntimeError(repr('VPP_ENV_SALT' in os.environ))\n"
    )
    file = f"{tmp_path}/looks.py"
    with open(file, "w", encoding="utf-8") as out:
        out.write(source)
    with player(f"{file}:Looks") as policy, pytest.raises(PolicyFailure, match="RuntimeError: False"):
        simulate(month("week20", SHORT), policy)


def test_bids_come_through_whole() -> None:
    rng = np.random.default_rng(0)
    said = [{"kind": "offer", "usd": 0.1, "to": [1, 2], "at": None}]
    sent = Bids(
        rng.random((3, 6)).astype(np.float32)[::-1],
        np.array([True, False, True]),
        1.5,
        {"rounds": 2.0, "seconds": np.float64(0.5)},  # type: ignore[dict-item]
        said,
        DayAheadSchedule(np.arange(24.0), np.full(24, 0.1)),
    )
    data = encode_answer({"answer": sent})
    head, body = HEAD.unpack(data[: HEAD.size])
    data = data[HEAD.size :]
    assert len(data) == head + body
    got = decode_answer(data[:head], data[head:])["answer"]
    assert got.actions.dtype == np.float32
    assert np.array_equal(got.actions, sent.actions)
    assert np.array_equal(got.accepted, sent.accepted)
    assert (got.expected_profit_usd, got.notes, got.transcript) == (1.5, {"rounds": 2.0, "seconds": 0.5}, said)
    assert np.array_equal(got.day_ahead.kw, sent.day_ahead.kw)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense",
        b'{"array": ["object", [1]]}',
        b'{"array": ["float64", [1000000]]}',
        b'{"array": ["float64", [-1]]}',
        b'{"record": ["Popen", {}]}',
        b'{"record": ["Bids", {"no_such_field": 1}]}',
        b'{"two": 1, "keys": 2}',
        b"[" * 100_000,
        json.dumps({"pickle": "x"}).encode(),
    ],
)
def test_an_answer_of_another_form_is_refused(head: bytes) -> None:
    with pytest.raises(PolicyFailure, match="cannot be read"):
        decode_answer(head, b"\0" * 8)


def test_a_pickle_that_executes_is_never_read(tmp_path: object) -> None:
    sent = pickle.dumps(Bomb())
    assert b"touch" in sent
    with pytest.raises(PolicyFailure):
        decode_answer(sent, b"")
    assert not os.path.exists("/tmp/vpp_env_bomb")
