"""Language models in the benchmark: the estimate before a run, and whether they can be reached at all."""

from __future__ import annotations

from dataclasses import dataclass

from vpp_policies.agentic.card import PreferenceCard, question
from vpp_policies.agentic.conversation import Turn
from vpp_policies.agentic.llm_brain import LlmBrain
from vpp_policies.agentic.openings import OpeningAsk, OpeningAsks
from vpp_policies.agentic.strategy import RULES, Strategy
from vpp_policies.llm.chat import Usage, schema_text, tokens
from vpp_policies.llm.ledger import Price
from vpp_policies.llm.prompts import prompt
from vpp_policies.llm.stack import adapter_of, price_of

from vpp_benchmarks.run.plan import Plan
from vpp_env.contract.policy import make_policy
from vpp_env.evaluation.isolation import is_outside
from vpp_env.owners.statements import statement
from vpp_env.scenario import Scenario
from vpp_env.traces.fleet import build_fleet

STRATEGY_CHARS, MEMORY_CHARS = 430, 260
"""Characters of the numbers of one strategy, and of what is remembered (measured on week20 and august)."""
CARD_CHARS, FIELD_CHARS = 270, 95
"""Characters of a card that says nothing, and of one field with its evidence (measured with the scripted reader)."""
TALK_CHARS, TURN_CHARS = 1600, 350
"""Characters of one question of a conversation and of its answer (measured on week20); every gate, round and call of a
tool that there may be is counted, though most owners sign before."""
ROW_CHARS = 135
"""Characters of one home's row in a question for opening asks (measured)."""


@dataclass(frozen=True)
class Estimate:
    """What a month should cost at most without trouble: no retries and no repairs."""

    calls: int
    tokens_in: int
    tokens_out: int
    usd: float

    def __str__(self) -> str:
        """In words."""
        return f"{self.calls:,} calls, {self.tokens_in:,} + {self.tokens_out:,} tokens, {self.usd:.4f} USD"


def _calls(count: float, system: str, schema: str, asked: float, answered: float, price: Price) -> Estimate:
    """`count` calls with `asked` and `answered` characters each."""
    used_in = round(count * (tokens(system, schema) + asked / 4.0))
    used_out = round(count * answered / 4.0)
    usd = (used_in * price.tokens_in + used_out * price.tokens_out) / 1e6
    return Estimate(round(count), used_in, used_out, usd)


def estimate(brain: LlmBrain, scenario: Scenario, seed: int) -> Estimate:
    """Estimate one month: statements are measured, everything else is counted; of thoughts, all that is allowed."""
    play, without = brain.options.play, brain.negotiation.left_out
    price = price_of(brain.options.reach)
    fleet = build_fleet(scenario, seed)
    parts: list[Estimate] = []
    if "cards" not in without:
        texts = [statement(scenario, fleet, seed, i) for i in range(fleet.n)]
        # a sentence is about a fact, but for the greeting
        facts = [max(text.count(". ") - 1, 0) for text in texts]
        asked = sum(len(question(text)) for text in texts) / fleet.n
        answered = CARD_CHARS + FIELD_CHARS * sum(facts) / fleet.n
        parts.append(_calls(fleet.n, prompt("card"), schema_text(PreferenceCard), asked, answered, price))
    if "strategy" not in without:
        hours = scenario.n_opportunities - scenario.lead_opportunities  # the last gates are for hours beyond the end
        count = hours if play.strategy_every == "hour" else -(-scenario.hours // 24)
        asked = STRATEGY_CHARS + (MEMORY_CHARS if "memory" not in without else 0)
        answered = len(RULES.model_dump_json())
        parts.append(_calls(count, prompt("strategy"), schema_text(Strategy), asked, answered, price))
    if play.mode != "cards":
        sampled = play.sampled(scenario.n_opportunities, scenario.time.opportunity_minutes / 60)
        hours = int(sampled[scenario.lead_opportunities :].sum())
        homes = int((fleet.has_bess | fleet.has_ev).sum())
        size = min(play.homes_per_call, max(homes, 1))
        count = hours * -(-homes // size)
        one = len(OpeningAsk(home=100, sells=1, markup_percent=15, concession_percent=50).model_dump_json()) + 1
        rows = homes / max(-(-homes // size), 1)
        parts.append(
            _calls(count, prompt("openings"), schema_text(OpeningAsks), 60 + ROW_CHARS * rows, 12 + one * rows, price)
        )
    if play.talk or play.talk_to:
        gates = -(-scenario.hours / 24.0 // brain.negotiation.every_days)
        rounds = min(brain.negotiation.max_rounds, scenario.owners.max_rounds)
        turns = gates * rounds * (len(play.talk_to) or play.talk) * (1 + play.tools)
        parts.append(_calls(turns, prompt("conversation"), schema_text(Turn), TALK_CHARS, TURN_CHARS, price))
    calls, thought = sum(p.calls for p in parts), (brain.options.reach.thinking or 0) * sum(p.calls for p in parts)
    return Estimate(
        calls,
        sum(p.tokens_in for p in parts),
        sum(p.tokens_out for p in parts) + thought,
        sum(p.usd for p in parts) + price.usd(Usage(0, thought)),
    )


def llm_brains(plan: Plan) -> dict[str, LlmBrain]:
    """Language-model sides of a plan's policies, by label."""
    made = {
        c.label: None if is_outside(c.spec) else getattr(make_policy(c.spec), "brain", None) for c in plan.contenders
    }
    return {label: brain for label, brain in made.items() if isinstance(brain, LlmBrain)}


def check(plan: Plan) -> None:
    """Build every model of a plan once, without asking it anything.

    Raises
    ------
    VppError
        When a package, a key, an address or a cassette is missing; the message says what to do.
    """
    for brain in llm_brains(plan).values():
        reach = brain.options.reach
        if isinstance(reach.llm, str) and not reach.is_replay:
            adapter_of(reach)
        price_of(reach)


def estimate_lines(plan: Plan) -> list[str]:
    """One line per policy with a language model, for printing before a run."""
    out = []
    for label, brain in llm_brains(plan).items():
        e, reach = estimate(brain, plan.scenario, plan.seeds[0]), brain.options.reach
        who = reach.llm if isinstance(reach.llm, str) else reach.llm.model
        out.append(f"{label}: {who}, estimate per month: {e}")
    return out
