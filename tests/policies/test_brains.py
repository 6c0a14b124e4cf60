"""The registry of brains: who is registered negotiates, and an option that does not apply is refused."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support import month
from vpp_policies.agentic import BRAINS, Agentic, BrainEntry, ModelOptions, NegotiationOptions, agentic
from vpp_policies.agentic.negotiation import AggregatorBrain, Declared, Guidance, Notice, ProsumerBrain, Standing
from vpp_policies.agentic.rules import RulesProsumer
from vpp_policies.llm import LlmOptions

from vpp_env import Answers, Offers, Window
from vpp_env.contract.policy import MarketRules, make_policy
from vpp_env.errors import PolicyError, UnknownNameError
from vpp_env.evaluation.simulate import simulate

DAY = {"time.duration_hours": 24}


class Haggler:
    """A stranger's aggregator: every day it offers the same share of the own ask to whoever has no contract."""

    def __init__(self, share: float) -> None:
        self._share, self.offers = share, 0

    def opens(self, opportunity: int, hours: float) -> bool:
        return opportunity % 24 == 0

    def propose(
        self, notice: Notice, standing: Standing, contracted: NDArray[np.bool_], rounds_left: int
    ) -> Offers | None:
        if contracted.all():
            return None
        self.offers += 1
        own = standing.terms
        terms = replace(
            own, price=own.price * self._share, share=np.full(own.n, 0.95), availability=np.full(own.n, 1e-6)
        )
        return Offers(~contracted, np.full(own.n, Window.NOTICE), terms)

    def learn(self, standing: Standing, offers: Offers, answers: Answers) -> None:
        pass

    def guide(self, notice: Notice, declared: Declared) -> Guidance | None:
        return None


@dataclass(frozen=True)
class HagglerOptions:
    cut: float = 0.9


class HagglerBrain:
    guided = False

    def __init__(self, negotiation: NegotiationOptions, options: HagglerOptions) -> None:
        self.aggregator = Haggler(options.cut)

    def begin(self, rules: MarketRules) -> tuple[AggregatorBrain, ProsumerBrain]:
        return self.aggregator, RulesProsumer()

    def collect(self) -> tuple[dict[str, float], list[dict[str, Any]]]:
        return {"haggles": float(self.aggregator.offers)}, []


@pytest.fixture
def haggler(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = BrainEntry(HagglerBrain, HagglerOptions, unused=("every_days", "share"))
    monkeypatch.setitem(BRAINS, "haggler", entry)


@pytest.mark.usefixtures("haggler")
def test_a_strangers_brain_negotiates_a_month() -> None:
    played = month("week20", DAY)
    policy = make_policy("agentic(brain='haggler', max_rounds=2, cut=0.8)")
    run = simulate(played, policy)
    table = run.record.opportunities()
    assert run.complete
    assert table["negotiation_rounds"].max() == 2
    assert table["bid_capacity_mw"].sum() > 0
    assert table["notes_haggles"].iloc[-1] == table["negotiation_rounds"].sum() > 0
    # it is the stranger who negotiates, and its own option reaches it
    rules = simulate(played, make_policy("agentic(max_rounds=2)")).record.opportunities()
    assert (rules["bid_price_mwh"] != table["bid_price_mwh"]).any()
    typed = Agentic("haggler", NegotiationOptions(max_rounds=2), HagglerOptions(cut=0.8))
    again = simulate(played, typed).record.opportunities()
    assert (again["bid_price_mwh"] == table["bid_price_mwh"])[table["bid_price_mwh"].notna()].all()


@pytest.mark.usefixtures("haggler")
def test_options_that_do_not_apply_are_refused() -> None:
    for spec, match in (
        (
            "agentic(mode='cards')",
            "brain 'rules': got mode, which does not apply; allowed is max_rounds, .*brain='llm'",
        ),
        ("agentic(llm='replay')", "brain 'rules': got llm"),
        ("agentic(strict=True)", "brain='llm' would take it"),
        ("agentic(cut=0.5)", "brain='haggler' would take it"),
        ("agentic(brain='haggler', every_days=3)", "got every_days.*brain='llm' and brain='rules'"),
        ("agentic(brain='haggler', budget_usd=1.0)", "got budget_usd"),
    ):
        with pytest.raises(PolicyError, match=match):
            make_policy(spec)
    with pytest.raises(UnknownNameError, match="Did you mean 'max_rounds'"):
        agentic(max_round=2)
    with pytest.raises(PolicyError, match="Did you mean 'max_rounds'"):
        make_policy("agentic(max_round=2)")
    with pytest.raises(PolicyError, match="has no options of its own"):
        Agentic("rules", options=ModelOptions())
    with pytest.raises(PolicyError, match="got HagglerOptions; allowed is ModelOptions"):
        Agentic("llm", options=HagglerOptions())
    with pytest.raises(PolicyError, match="got every_days"):
        Agentic("haggler", NegotiationOptions(every_days=3.0))
    for wrong, match in (
        ("llm='replay', model='m'", "llm='replay': got model"),
        ("llm='scripted', strict=False", "got strict"),
        ("batch=30", "got batch, which applies to mode batched only"),
        ("mode='full', batch=30", "got batch"),
        ("sample_hours=48", "mode batched or full only"),
    ):
        with pytest.raises(PolicyError, match=match):
            make_policy(f"agentic(brain='llm', {wrong})")
    with pytest.raises(UnknownNameError, match="part for without"):
        make_policy("agentic(brain='haggler', without='cards')")


@pytest.mark.usefixtures("haggler")
def test_flat_options_are_the_fields_of_the_dataclasses() -> None:
    names = set(inspect.signature(agentic).parameters)
    assert {"brain", "max_rounds", "without", "llm", "budget_usd", "mode", "cut", "share"} <= names
    flat = agentic(brain="llm", llm="scripted", max_rounds=2, mode="batched", max_calls=7)
    options = flat.brain.options  # type: ignore[attr-defined]
    assert options == ModelOptions(
        replace(LlmOptions(), llm="scripted", max_calls=7), replace(options.play, mode="batched")
    )
    assert flat.brain.negotiation == NegotiationOptions(max_rounds=2)  # type: ignore[attr-defined]
