"""Attacks on what a policy may know, and what becomes of each: the table of docs/information.md, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cheats import Honest
from support import month

from vpp_env.contract.bids import Bids
from vpp_env.contract.views import View
from vpp_env.evaluation.audit import audit
from vpp_env.evaluation.isolation import player
from vpp_env.evaluation.kpi import summarize
from vpp_env.evaluation.measures import Evidence
from vpp_env.evaluation.simulate import simulate
from vpp_env.evaluation.verdict import Verdict
from vpp_env.scenario.streams import policy_stream
from vpp_env.simulation.month import Month

SHORT = {"fleet.size": 4, "time.duration_hours": 3, "fleet.share_bess": 1.0, "market.min_bid_mw": 0.0}

BASE = """
import os, sys
from pathlib import Path
import numpy as np
from cheats import Honest

class Mine(Honest):
    def more(self, view):
        {body}
"""


def written(tmp_path: Path, body: str) -> str:
    """A policy in a file of its own; `body` returns what is added to every ask."""
    file = tmp_path / "mine.py"
    file.write_text(BASE.format(body=body.replace("\n", "\n        ")), encoding="utf-8")
    return f"{file}:Mine"


def asks_of(spec: str, m: Month) -> list[Any]:
    """What a policy bids at every gate of a month, played in its own process."""
    made: list[Any] = []

    class Listens:
        def __init__(self, policy: Any) -> None:
            self.info, self._policy = policy.info, policy

        def reset(self, *args: Any) -> None:
            self._policy.reset(*args)

        def act(self, view: View) -> Bids:
            made.append(self._policy.act(view))
            return made[-1]

    with player(spec) as policy:
        simulate(m, Listens(policy))
    return made


PATCH = "from vpp_env.evaluation.measures import Evidence\nEvidence.profit = lambda self: 1e9\nreturn 0.0"


class Patches(Honest):
    """Patches what its profit is read by."""

    def more(self, view: View) -> Any:
        Evidence.profit = lambda self: 1e9  # type: ignore[method-assign]
        return 0.0


def test_patching_the_evaluator_works_in_its_process_and_not_from_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    m = month("week20", SHORT)
    monkeypatch.setattr(Evidence, "profit", Evidence.profit)  # put back in the end
    honest = summarize(simulate(m, Honest())).total_profit
    with player(written(tmp_path, PATCH)) as policy:
        run = simulate(m, policy)
    assert summarize(run).total_profit == honest, "it patches its own copy only"
    assert summarize(simulate(m, Patches())).total_profit == 1e9, "an object in hand is in the evaluator's process"


def test_a_folder_of_results_can_be_read_and_only_another_user_prevents_it(tmp_path: Path) -> None:
    """Works: who may read the folder finds the prices of the run that is going on, or of one before."""
    prices = tmp_path / "prices.txt"
    m = month("week20", SHORT)
    prices.write_text("\n".join(map(str, m.series.rt_usd_per_mwh[:12])), encoding="utf-8")
    body = (
        f"future = [float(x) for x in Path({str(prices)!r}).read_text().split()]\n"
        "return 0.001 * max(0.0, min(99.0, future[4 * view.public.opportunity]))"
    )
    made, honest = asks_of(written(tmp_path, body), m), asks_of("cheats:Honest", m)
    assert any((a.actions != b.actions).any() for a, b in zip(made, honest, strict=True))


REMAKE = """
from vpp_env.scenario import load_scenario
from vpp_env.simulation.month import Month
from vpp_env.scenario.streams import policy_stream
if not hasattr(self, "future"):
    mine = self.rng.bit_generator.state["state"]["state"]
    same = [s for s in range(5) if policy_stream(s).bit_generator.state["state"]["state"] == mine]
    changes = {changes}
    self.future = Month(load_scenario("week20").override(changes), same[0] if same else 0).series.rt_usd_per_mwh
    self.found = bool(same)
return 0.001 * max(0.0, min(99.0, float(self.future[4 * view.public.opportunity])))
"""


def test_keys_of_language_models_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works: the environment is its own, but for the salt. A stranger's policy is to be played without keys."""
    body = "import os\nreturn float(len(os.environ['OPENAI_API_KEY'])) / 1000.0"
    asks = []
    for key in ("", "12345678901234567890"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        asks.append(asks_of(written(tmp_path, body), month("week20", SHORT)))
    assert any((a.actions != b.actions).any() for a, b in zip(*asks, strict=True))


def test_a_public_seed_can_be_made_again_and_a_salt_closes_that(tmp_path: Path) -> None:
    """Works without a salt, also past the audit: what the policy reads is its own. With a salt it is another month."""
    spec = written(tmp_path, REMAKE.format(changes=repr(SHORT)).strip())
    public = month("week20", SHORT, 2)
    salted = Month(public.scenario, 2, salt="a secret of sixteen characters")
    honest = {id(m): asks_of("cheats:Honest", m) for m in (public, salted)}

    def added(m: Month) -> list[float]:
        """USD/kWh that is added to the first home's ask at every gate."""
        pairs = zip(asks_of(spec, m), honest[id(m)], strict=True)
        return [round(float(a.actions[0, 1] - b.actions[0, 1]) / 2, 2) for a, b in pairs]

    def told(m: Month) -> list[float]:
        return [round(0.001 * float(np.clip(m.series.rt_usd_per_mwh[4 * g], 0.0, 99.0)), 2) for g in range(3)]

    assert np.allclose(added(public), told(public), atol=0.011)
    assert policy_stream(2).random() == public.policy_rng().random()
    assert not np.allclose(added(salted), told(salted), atol=0.011)
    assert audit(public, spec, gates=1, rounds=1).verdict is Verdict.VERIFIED, "this is why a salt is shown"


def test_copies_of_a_policy_that_tell_each_other_by_files_are_not_caught(tmp_path: Path) -> None:
    """Works: the first copy leaves its bids in a file and the others repeat them, whatever they see."""
    body = (
        f"kept = Path({str(tmp_path)!r}) / f'ask{{view.public.opportunity}}'\n"
        "if not kept.exists():\n"
        "    kept.write_text(repr(0.1 * float(view.homes.own_ask.mean())))\n"
        "return float(kept.read_text())"
    )
    assert audit(month("week20", SHORT), written(tmp_path, body), gates=1, rounds=1).verdict is Verdict.VERIFIED


def test_state_of_a_module_does_not_pass_from_copy_to_copy(tmp_path: Path) -> None:
    """Does not work: every copy has a process of its own."""
    body = (
        "kept = sys.modules[__name__].__dict__.setdefault('KEPT', {})\n"
        "gate = view.public.opportunity\n"
        "return kept.setdefault(gate, 0.1 * float(view.homes.own_ask.mean()))"
    )
    assert audit(month("week20", SHORT), written(tmp_path, body), gates=1, rounds=1).verdict is Verdict.REFUTED
