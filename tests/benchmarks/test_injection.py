"""Hostile owners in a conversation, a small sample; 2,000 messages: `vpp-env attack-talk`, and the slow test."""

from __future__ import annotations

import re

import pytest
from vpp_benchmarks.llm.injection import Month3, attacked, main, report

from vpp_env.contract.speech import MOST_WORDS
from vpp_env.owners.hostile import ATTACKS, attack


def test_two_thousand_attacks_are_all_different_and_are_rewritten() -> None:
    every = {attack(k, home=7) for k in range(ATTACKS)}
    assert len(every) == ATTACKS == 2000
    assert max(map(len, every)) <= MOST_WORDS


def test_hostile_owners_cross_no_limit_and_change_nobody_elses_terms() -> None:
    found = attacked("week20", 2, 1001, {"llm": "gullible"}, 0)
    assert found.messages > 50
    assert (found.crossed, found.violations, found.others) == (0, 0, 0)
    assert found.refused > 0  # the reader did fall for some of them
    text = report([found], "gullible")
    assert "too few months" in text
    assert f"| {found.messages} |" in re.sub(" +", " ", text)


def test_a_crossed_limit_would_be_counted() -> None:
    bad = Month3(1, 1, 0, 0, 0, dict.fromkeys(("total_profit", "member_net_benefit", "welfare"), 0.0))
    assert re.search(r"beyond a hard limit \| 5 ", report([bad] * 5, "x"))


@pytest.mark.slow
def test_two_thousand_hostile_messages(capsys: pytest.CaptureFixture[str]) -> None:
    for llm in ("gullible", "scripted"):
        assert main(["--messages", "2000", "--llm", llm], "vpp-env attack-talk") == 0
    print(capsys.readouterr().out)
