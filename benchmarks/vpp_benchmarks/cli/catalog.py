"""What there is to choose from: scenarios, policies, clearings, payment rules."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from importlib.metadata import entry_points

from rich.console import Console
from rich.table import Table

from vpp_env.contract.policy import GROUP, make_policy, policy_names
from vpp_env.market.clearing import CLEARINGS, make_clearing
from vpp_env.market.payment import PAYMENTS
from vpp_env.scenario import load_scenario, scenario_names

SWITCHES = ("two_settlement", "gate_lead_minutes", "programme", "regulation", "deviation_kappa")
"""Fields of the market that turn a part of it on; shown with their meaning and default."""
MOST_OPTIONS = 6
"""Options of a policy that are listed."""


def scenario_rows() -> list[tuple[str, str, str, str]]:
    """Name, homes, hours and description of every shipped scenario."""
    scenarios = [load_scenario(name) for name in scenario_names()]
    return [(s.name, str(s.fleet.size), str(s.hours), s.description) for s in scenarios]


def policy_rows() -> list[tuple[str, str, str, str, str]]:
    """Name, information set, consent, what it is, and options of every registered policy."""
    makers = {entry.name: entry.load() for entry in entry_points(group=GROUP)}
    rows = []
    for name in policy_names():
        info = make_policy(name).info
        options = [p for p in inspect.signature(makers[name]).parameters.values() if p.name not in ("args", "kwargs")]
        words = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in options]
        more = len(words) - MOST_OPTIONS
        text = ", ".join(words[:MOST_OPTIONS]) + (f" and {more} more: see docs" if more > 0 else "")
        rows.append((name, info.information.name, info.consent.value, info.description, text or "-"))
    return rows


def rule_rows() -> list[tuple[str, str, str]]:
    """Kind, name and one line of every market rule."""
    market = load_scenario("august").market
    rows = [
        ("clearing", name, _first_line(type(make_clearing(dataclasses.replace(market, clearing=name)))))
        for name in sorted(CLEARINGS)
    ]
    for name, make in PAYMENTS.items():
        rule = make(market)
        text = "the own ask" if rule == (0.0, 0.0) else "the own ask, or more:"
        text += f" {rule.share:g} x market price" if rule.share else ""
        text += " the highest ask accepted" if rule.marginal else ""
        rows.append(("payment", name, text))
    fields = {f.name: f.metadata for f in dataclasses.fields(market)}
    return rows + [("switch", name, f"{fields[name]['unit']} ({getattr(market, name)})") for name in SWITCHES]


def show(console: Console) -> None:
    """Print everything."""
    _table(console, "Scenarios (--scenario)", ["name", "homes", "hours", "what it is"], scenario_rows())
    _table(console, "Policies (--policies)", ["name", "sees", "consent", "what it is", "options"], policy_rows())
    _table(
        console, "Market rules (--set market.clearing=..., market.payment=...)", ["rule", "name", "what"], rule_rows()
    )


def _table(console: Console, title: str, header: list[str], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in header:
        table.add_column(name, no_wrap=name == "name")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n", 1)[0]
