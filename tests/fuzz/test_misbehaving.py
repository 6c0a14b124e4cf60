"""A sample of `python -m tests.fuzz policies`: every way that needs no process of its own, and some that do."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from tests.fuzz.harness import one_line
from tests.fuzz.misbehaving import DONE, ENDED, RAISED, RETURNED, WAYS, Misbehaves
from tests.fuzz.policies import MARK, cases, left_over
from tests.support import month
from vpp_env.contract.bids import N_ACTION, Bids
from vpp_env.contract.policy import Consent, PolicyInfo
from vpp_env.contract.views import Information
from vpp_env.errors import PolicyError, printable
from vpp_env.evaluation.answers import HEAD, PolicyFailure, decode_answer
from vpp_env.evaluation.isolation import IsolatedPolicy
from vpp_env.evaluation.policy_process import _told
from vpp_env.evaluation.returned import checked
from vpp_env.evaluation.simulate import simulate

SLOW = {"text hangs", "recursion without limit", "transcript of megabytes", "transcript of many messages"}
HOMES = 4
LINE = r" \(misbehaving\.py, line \d+\)$"


def nothing() -> np.ndarray:
    return -np.ones((HOMES, N_ACTION), dtype=np.float32)


def told(error: BaseException) -> str:
    message = _told(error, " (defined)")
    head, _ = HEAD.unpack(message[: HEAD.size])
    answer = decode_answer(message[HEAD.size : HEAD.size + head], b"")
    failure = PolicyFailure(answer["error"], answer["trace"])
    assert all(line.isprintable() for line in failure.trace.split("\n"))
    assert one_line(str(failure))
    assert str(failure).isprintable()
    return str(failure)


@pytest.mark.parametrize("way", sorted(set(RAISED) - SLOW))
def test_what_is_raised_is_told_in_one_line(way: str) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - that is the point
        WAYS[way](nothing(), None)
    assert "(misbehaving.py, line " in told(caught.value)
    assert len(told(caught.value)) <= 1500


@pytest.mark.parametrize("way", sorted(set(RETURNED) - SLOW))
@pytest.mark.filterwarnings("ignore:coroutine")
def test_what_is_returned_is_refused_in_one_line(way: str) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        checked(WAYS[way](nothing(), None), HOMES)
    assert told(caught.value).endswith((")", "numbers", "None"))
    assert isinstance(caught.value, Exception | SystemExit | KeyboardInterrupt)


def test_a_misspelt_field_is_answered_with_the_nearest() -> None:
    class Mine:
        actions = 1.0

    with pytest.raises(AttributeError) as caught:
        Bids(nothing()).action  # type: ignore[attr-defined]  # noqa: B018
    assert "no attribute 'action'. Did you mean 'actions'? (test_misbehaving.py, line" in told(caught.value)
    with pytest.raises(AttributeError) as caught:
        Mine().action  # type: ignore[attr-defined]  # noqa: B018
    assert "Did you mean" not in told(caught.value)


def test_a_hundred_are_all_ways_at_moments_of_chance() -> None:
    assert len(WAYS) == len(RAISED) + len(ENDED) + len(RETURNED) + len(DONE) >= 100
    tried = cases(len(WAYS), first=3)
    assert sorted(case.way for case in tried) == sorted(WAYS)
    assert len({case.at for case in tried}) == 4
    assert cases(5, first=3) == tried[:5]


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ("forks", "^RuntimeError: after forks"),
        ("spins", "^act took longer than 2 s; its process was ended"),
        ("asks without end", "^act took longer than 2 s; its process was ended"),
        ("segmentation fault", "^the policy's process was ended by signal 11 during act"),
    ],
)
def test_nothing_is_left_of_it_and_its_line_is_told(way: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    policy = IsolatedPolicy(f"tests.fuzz.misbehaving:Misbehaves(way={way!r}, at='first')")
    monkeypatch.delenv(MARK)
    assert len(left_over(mark)) == 1
    policy.timeout_s = 2.0
    with pytest.raises(PolicyFailure, match=words + LINE):
        simulate(month("week20", {"fleet.size": HOMES, "time.duration_hours": 3}), policy)
    policy.close()
    assert left_over(mark) == []


@pytest.mark.parametrize(
    ("part", "value"),
    [("name", "\x1b[2J"), ("name", 7), ("description", "d" * 2000), ("reference", "a\nb"), ("consent", "NEVER")],
)
def test_what_is_declared_can_be_stored_and_shown(part: str, value: object) -> None:
    declared = {"name": "x", "information": Information.OWN, "consent": Consent.NEVER, "description": "y"}
    with pytest.raises(PolicyError, match=r"allowed (is printable text|are members)") as caught:
        PolicyInfo(**(declared | {part: value}))  # type: ignore[arg-type]
    assert one_line(str(caught.value))


def test_what_no_reader_sees_is_shown_by_its_number_or_left_out() -> None:
    assert printable("häuser, 日本") == "häuser, 日本"
    assert printable("a\x1b[2J\u202eb\ud800") == "a\\x1b[2J\\x202eb\\xd800"
    assert printable("a\x00\x1b\u2066 b\n", " ") == "a  b "


def test_it_does_nothing_before_its_moment() -> None:
    policy = Misbehaves("bare", "last")
    run = month("week20", {"fleet.size": HOMES, "time.duration_hours": 3})
    seen: list[object] = []
    with pytest.raises(BaseException, match="as bare as can be"):
        simulate(run, policy, seen.append)
    assert len(seen) == 2
