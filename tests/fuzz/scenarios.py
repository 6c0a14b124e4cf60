"""Scenario files, `--set`, experiment files and policy specs, changed at random. What is accepted is played."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from vpp_benchmarks.results.encode import to_json
from vpp_benchmarks.run.experiment import from_data, make_experiment, read_request, to_data
from vpp_benchmarks.run.plan import overridden, parse_seeds

from tests.fuzz.harness import Attempt, Target, check_finite
from tests.fuzz.mutations import TOML_VALUES, changed_bytes, nested, pick
from vpp_env.contract.bids import Bids
from vpp_env.contract.policy import Policy, is_outside, make_policy, parse_spec, policy_names
from vpp_env.evaluation.returned import checked
from vpp_env.evaluation.simulate import market_rules, simulate
from vpp_env.scenario import Scenario, load_scenario, scenario_names
from vpp_env.simulation.month import Month
from vpp_env.simulation.view_builder import build_view
from vpp_env.simulation.world import World

HOMES, OPPORTUNITIES, SEED = 5, 3, 1000


def shortened(scenario: Scenario) -> Scenario:
    """The same rules for a few homes and opportunities, so that hundreds are played."""
    hours = math.ceil(OPPORTUNITIES * scenario.time.opportunity_minutes / 60)
    return scenario.override(
        {
            "fleet.size": min(scenario.fleet.size, HOMES),
            "time.duration_hours": min(scenario.time.duration_hours or hours, hours),
        }
    )


def play(scenario: Scenario, policy: str = "truthful") -> None:
    """Play a few opportunities; all that came in and all that came of it is finite."""
    month = Month(shortened(scenario), SEED)
    for f in dataclasses.fields(month.fleet):
        check_finite(f"fleet.{f.name}", getattr(month.fleet, f.name))
    check_finite("prices", [month.series.da_usd_per_mwh, month.series.rt_usd_per_mwh])
    for name, values in vars(month.traces(0)).items():
        check_finite(name, values)
    run = simulate(month, make_policy(policy))
    check_finite("totals", run.record.totals)
    for table in (run.record.opportunities(), run.record.interval_table()):
        for name in table.columns:
            if table[name].dtype.kind == "f":
                values = table[name].to_numpy()
                none = name in MAY_BE_NONE or name.startswith("notes_")
                check_finite(name, values[~np.isnan(values)] if none else values)


MAY_BE_NONE = ("bid_price_mwh", "expected_profit", "spin_price", "nonspin_price", "performance")
"""Columns in which NaN means that there was none: nothing bid, nothing expected, no such product, no evening called;
what a policy notes, it may leave out."""


def mutated_scenario(rng: np.random.Generator) -> bytes:
    """A scenario file of which something was changed."""
    data = load_scenario(pick(rng, scenario_names())).to_dict()
    kind = int(rng.integers(10))
    if kind <= 5:
        for _ in range(int(rng.integers(1, 4))):
            data = set_one(data, rng)
        return with_value(data, rng) if kind <= 1 else tomli_w.dumps(data).encode()
    if kind <= 8:
        return changed_bytes(tomli_w.dumps(data).encode(), rng)
    if rng.random() < 0.3:
        return tomli_w.dumps(data).encode() + pick(
            rng, [b"\n[extra]\nx=1\n", b"\n[[fleet]]\nsize=3\n", b"\nfleet = 3\n"]
        )
    return nested(rng)


def field_of(data: dict[str, Any], rng: np.random.Generator) -> tuple[str, str]:
    """A section and a field of it."""
    section = pick(rng, [name for name in data if isinstance(data[name], dict)])
    return section, pick(rng, list(data[section]))


def with_value(data: dict[str, Any], rng: np.random.Generator) -> bytes:
    """The file with one field written as something else."""
    section, key = field_of(data, rng)
    del data[section][key]
    line = f"[{section}]\n{key} = {pick(rng, TOML_VALUES)}\n"
    return tomli_w.dumps(data).replace(f"[{section}]\n", line, 1).encode()


def set_one(data: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The data with one number changed to one that may be allowed."""
    section, key = field_of(data, rng)
    return {**data, section: {**data[section], key: nudged(data[section][key], rng)}}


def nudged(value: Any, rng: np.random.Generator) -> Any:
    """A value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [nudged(part, rng) if rng.random() < 0.5 else part for part in value]
    if isinstance(value, int | float):
        mild = (0, 1, value / 2, value * 1.1, value * 2, value + 1)
        return type(value)(pick(rng, mild if rng.random() < 0.7 else (-value, value * 10, 1e-9, 1e4, 1e9)))
    return value


PLAYED_BY = ("truthful", "truthful", "stochastic", "agentic")


def _scenarios(valid: Path) -> Attempt:
    for policy in PLAYED_BY:  # compiles what is compiled, before a clock runs
        play(load_scenario("quick"), policy)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        file = folder / "mutated.toml"
        file.write_bytes(mutated_scenario(rng))
        play(load_scenario(file), pick(rng, PLAYED_BY))

    return attempt


def _set(valid: Path) -> Attempt:
    base = load_scenario("quick")
    play(base)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        texts = []
        for _ in range(int(rng.integers(1, 3))):
            section, key = field_of(base.to_dict(), rng)
            if rng.random() < 0.5:
                value = pick(rng, TOML_VALUES)
            else:
                value = json.dumps(nudged(base.to_dict()[section][key], rng))
            text = f"{section}.{key}={value}"
            texts.append(changed_bytes(text.encode(), rng).decode(errors="replace") if rng.random() < 0.3 else text)
        play(overridden(base, texts))

    return attempt


EXPERIMENT = """\
policies = ["truthful", "agentic(max_rounds=2)", "idle"]
scenarios = ["quick", "week20"]
seeds = ["1000:1002", 1005]
fleets = [5, 10]
starts = ["2023-08-01T00:00", 2023-08-02T00:00:00]

[set]
market.min_bid_mw = 0.0
fleet = {share_bess = 0.5}
"""
MEASURED = """\
policies = "truthful"
scenarios = "quick"
months = ["caiso:PGAE:2019-01..03"]
seeds = "training:3"
set = {"market.margin" = 0.1}
"""
ODD_LINES = (
    'policies = ["os:system"]', "seeds = 1e308", 'seeds = "0:99999999999"', "seeds = [[1, 2]]", "fleets = [0]",
    "fleets = [10000000000]", "fleets = [1.5]", "fleets = 3", 'starts = ["x"]', "starts = [07:00:00]",
    'months = ["caiso"]', 'months = ["caiso:PGAE:2019-01..9999-12"]', 'months = ["caiso:PGAE:2019-13"]',
    'market_data = "/"', 'market_data = ""', "market_data = [1]", "node = 3", 'home_data = "."', "home_data = {a=1}",
    "scenarios = []", "policies = []", "policies = {a=1}", "seeds = []", "seeds = nan", "seeds = -1", "set = 3",
    "set = []", 'set = {"fleet" = {"size" = {"x" = 1}}}', 'set = {"fleet.size.x" = 1}', 'set = {"" = 1}',
    'set = {"fleet" = 3}', 'scenarios = ["quick", "quick"]', 'policies = ["idle", "idle"]', "seeds = [1, 1]",
    'scenarios = ["."]', 'scenarios = ["/etc/passwd"]', 'node = "\\u001b[31m\\n"', 'policies = ["' + "(" * 5000 + '"]',
    'seeds = "validation:5"', 'seeds = "test:99"', 'seeds = ["' + "9" * 5000 + '"]', 'set = {"fleet.size" = 1}',
)  # fmt: skip


def _experiments(valid: Path) -> Attempt:
    for text in (EXPERIMENT, MEASURED):
        (valid / "e.toml").write_text(text, encoding="utf-8")
        assert make_experiment(read_request(valid / "e.toml")).units >= 3

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        text = pick(rng, (EXPERIMENT, MEASURED))
        kind = rng.integers(6)
        if kind <= 1:
            made = changed_bytes(text.encode(), rng)
        elif kind <= 4:
            odd = pick(rng, ODD_LINES)
            key = odd.split(" ")[0]
            lines = [line for line in text.splitlines() if not line.startswith((key, f"[{key}"))]
            made = "\n".join([odd, *lines]).encode()
        elif rng.random() < 0.5:
            lines = text.splitlines()
            lines[int(rng.integers(len(lines)))] = f"{pick(rng, ('policies', 'seeds', 'x', 'set'))} = 3"
            made = "\n".join(lines).encode()
        else:
            made = nested(rng)
        file = folder / "experiment.toml"
        file.write_bytes(made)
        experiment = make_experiment(read_request(file))
        assert experiment.units >= 1
        data = json.loads(to_json(to_data(experiment)))  # strict JSON, and the same experiment again
        named = [c.spec for plan in experiment.plans for c in plan.contenders]
        assert from_data(data, named).jobs() == experiment.jobs()

    return attempt


SEEDS = ("7", "0:10", "training:5", "validation:3", "1000:1003", "test:2")


def _seeds(rng: np.random.Generator) -> None:
    seeds = parse_seeds([changed_bytes(pick(rng, SEEDS).encode(), rng).decode(errors="replace")])
    assert all(isinstance(seed, int) and seed >= 0 for seed in seeds)


OPTION_VALUES = (
    "None", "True", "False", "0", "1", "-1", "2", "0.5", "1e308", "-1e308", "10**9", "9" * 30, "nan", "'nan'", "''",
    "'x'", "'" + "a" * 3000 + "'", "()", "[]", "{}", "(1, 2)", "b'x'", "'\\x1b[31m'", "'\\x00'", "'../../etc'",
    "1j", "1e-300", "24", "100000", "-0.0", "{'a': 1}", "'learned'", "'seasonal'", "'llm'", "'scripted'", "'replay'",
    "'rules'", "'tools'", "'welfare'", "'os:system'", "'agentic:x'", "['x']", "1000", "...",
)  # fmt: skip
LIKELY = ("0", "1", "2", "3", "0.5", "0.1", "24", "1e-300", "True", "'learned'", "'seasonal'", "'full'", "'cost'", "25")
OPTIONS = {
    "agentic": (
        "brain", "max_rounds", "every_days", "share", "transcript", "without", "graph", "llm", "model", "models",
        "base_url", "cassette", "strict", "budget_usd", "max_calls", "timeout_s", "attempts", "concurrency", "fallback",
        "thinking", "mode", "strategy_every", "envelope", "batch", "sample_hours", "talk", "talk_to", "tools",
        "floor_hours", "floor_usd",
    ),
    "centralized": ("horizon_hours",), "preference_aware": ("horizon_hours",), "dual": ("goal",),
    "mpc": ("forecaster", "horizon_hours"), "auction": ("offer_rest",), "learned": ("path",),
    "posted": ("price", "share", "day_price", "floor_price"), "tender": ("share",), "stochastic": ("forecaster",),
    "fleet": ("forecaster", "evenings"),
    "constant": ("sell_share", "sell_ask", "buy_share", "buy_limit", "reserve_share", "reserve_ask"),
}  # fmt: skip
CALLED = (
    "os:system",
    "sys:exit",
    "builtins:exec",
    "pathlib:Path",
    "nowhere:X",
    "x.py:Y",
    "/etc/passwd.py:Z",
    ":",
    "a:b:c",
)


def mutated_spec(rng: np.random.Generator) -> str:
    """What may stand after --policies."""
    name = pick(rng, list(OPTIONS)) if rng.random() < 0.8 else pick(rng, policy_names())
    known = OPTIONS.get(name, ("x",))
    likely = rng.random() < 0.6
    chosen = {pick(rng, known): pick(rng, LIKELY if likely else OPTION_VALUES) for _ in range(int(rng.integers(1, 4)))}
    if name == "agentic" and rng.random() < 0.5:
        chosen = {"brain": "'llm'", "llm": "'scripted'"} | chosen
    spec = f"{name}({', '.join(f'{key}={value}' for key, value in chosen.items())})"
    kind = rng.integers(8)
    if kind == 0:
        return changed_bytes(spec.encode(), rng).decode(errors="replace")
    if kind == 1:
        return pick(rng, CALLED) + pick(rng, ("", "()", "(x=1)"))
    if kind == 2:
        n = int(rng.integers(10, 20_000))
        long = [f"{name}(x={'[' * n}{']' * n})", f"{name}({'x=1,' * n})", "a" * n]
        return pick(rng, [*long, f"{name}(**{{}})", f"{name}(1)"])
    return spec


def first_bids(policy: Policy, month: Month) -> Bids:
    """What it bids at the first gate."""
    world = World([month])
    world.reset()
    policy.reset(market_rules(world), month.policy_rng())
    bids = checked(policy.act(build_view(world, policy.info.information)), world.n_homes)
    world.step(bids.actions, (bids.day_ahead,), bids.override, (bids.capacity,))
    return bids


PROVIDERS = ("gemini", "gemini_legacy", "openai", "litellm")
"""Models that are asked over a network: made, and never asked."""


def _specs(valid: Path) -> Attempt:
    month = Month(load_scenario("quick").override({"time.duration_hours": 2}), SEED)

    def attempt(rng: np.random.Generator, folder: Path) -> None:
        if rng.random() < 0.1:
            _seeds(rng)
            return
        spec = mutated_spec(rng)
        outside = is_outside(spec)
        policy = make_policy(spec)
        if outside:
            raise AssertionError(f"{spec!r} became a policy")
        if parse_spec(spec)[1].get("llm") in PROVIDERS:
            return
        bids = first_bids(policy, month)
        check_finite("actions", bids.actions)
        close = getattr(policy, "close", None)
        if close is not None:
            close()

    return attempt


SCENARIOS = Target(
    "scenario files",
    "bytes, nesting, types and sizes of values; what is accepted is played",
    _scenarios,
    quick=10,
)
SET = Target("--set", "fields, values, bytes; what is accepted is played", _set)
EXPERIMENTS = Target("experiment files", "bytes, nesting, keys and values", _experiments)
SPECS = Target("policy specs, seeds", "names, options and their values, bytes; what is accepted bids", _specs)
