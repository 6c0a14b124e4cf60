"""The page: head, style, sections in order, a few lines of script. Nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path

from vpp_benchmarks.report import answer, background, fleet, money, owners, people, result, sensitivity
from vpp_benchmarks.report.material import Material, read_material
from vpp_benchmarks.report.style import SCRIPT, STYLE
from vpp_benchmarks.results import store
from vpp_benchmarks.results.notes import homes_line, prices_line

POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""Content security policy: whatever a text of a run might hold, the browser loads nothing."""
SECTIONS: tuple[tuple[str, str, Callable[[Material], str]], ...] = (
    ("answer", "Answer", answer.answer),
    ("money", "Money", money.money),
    ("pareto", "Satisfaction", result.against_satisfaction),
    ("day", "A day", fleet.one_day),
    ("home", "One home", people.homes),
    ("negotiation", "Conversation", people.conversations),
    ("patience", "Owners over time", owners.over_time),
    ("violations", "Broken preferences", fleet.violations),
    ("fairness", "Fairness", fleet.fairness),
    ("result", "All figures, statistics", result.headline),
    ("sensitivity", "Sensitivity", sensitivity.sensitivity),
    ("bounds", "Ceilings", background.bounds),
    ("cost", "Time", background.time_and_cost),
    ("origin", "Scenario, manifest", background.origin),
)
"""Anchor, title and maker of every section."""
FIRST = SECTIONS[0][0]
"""The first screen has no title: it says the answer itself."""


def write_report(out: Path) -> None:
    """Write `report.html` of an experiment again from its folder."""
    store.write_text(out / store.HTML, report_page(read_material(out)))


def report_page(material: Material) -> str:
    """Return the page."""
    facts = _facts(material)
    made = [(anchor, title, make(material)) for anchor, title, make in SECTIONS]
    shown = [(anchor, title, body) for anchor, title, body in made if body]
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in shown)
    bodies = "".join(
        f'<section id="{a}">{"" if a == FIRST else f"<h2>{escape(title)}</h2>"}{body}</section>'
        for a, title, body in shown
    )
    title = escape(", ".join(material.planned.cases))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{title}</h1>{facts}</header><nav class=noprint><div>{links}</div></nav>"
        f"<main>{bodies}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _facts(m: Material) -> str:
    """Return the line under the title: what was run."""
    planned, seeds = m.planned, m.planned.seeds
    policies = len(planned.labels)
    facts = [f"{policies} {'policy' if policies == 1 else 'policies'}"]
    facts.append(f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}")
    if m.seeds:
        s, cases = m.seeds[0].scenario, len(planned.cases)
        one = (
            f"{s.fleet.size} homes, {s.hours} h from {s.time.start}, opportunities of {s.time.opportunity_minutes} min"
        )
        facts.insert(0, one if cases == 1 else f"{cases} cases")
        facts += [text for text in [prices_line(m.seeds), homes_line(m.seeds)] if text]
        facts.append(f"status: {', '.join(sorted({seed.status for seed in m.seeds}))}")
    hashes = ", ".join(planned.cases.values())
    chips = "".join(f"<li>{escape(fact)}</li>" for fact in [*facts, f"scenario {hashes}"])
    return f'<ul class="chips">{chips}</ul>'
