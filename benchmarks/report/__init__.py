"""The report of a comparison, written from its summary alone: every sentence is computed from the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.report.conclusions import caveats, conclusions
from benchmarks.report.language_models import language_models
from benchmarks.report.tables import (
    energy_table,
    fairness_table,
    headline_table,
    information_table,
    money_table,
    paired_table,
    seeds_table,
    violations_table,
)


def seed_report(summary: Mapping[str, Any], picture: str | None = None) -> str:
    """Return the Markdown report of one seed.

    Parameters
    ----------
    summary : mapping
        What `simulation_summary.json` holds.
    picture : str, optional
        Relative path of a picture to show.
    """
    s = summary["scenario"]
    measured = "measured prices" if summary["measured_prices"] else "synthetic prices"
    parts = [
        f"# {s['name']}: {', '.join(summary['policies'])}",
        f"{s['homes']} homes, {s['hours']} h from {s['start']}, {summary['planned_timesteps']} opportunities of "
        f"{s['opportunity_minutes']} min, seed {summary['seed']}, {measured}, clearing `{s['clearing']}`, payment "
        f"`{s['payment']}`, minimum bid {s['min_bid_mw']:g} MW. Scenario hash `{s['hash']}`. Status: "
        f"{summary['status']}.",
        "## Result",
        headline_table(summary),
        "Satisfaction is a score in [0, 1] over the whole run; doing nothing scores 1. USD over the whole run.",
    ]
    if picture is not None:
        parts.append(f"![One day, and profit against satisfaction]({picture})")
    parts += [
        "## What the figures say",
        _bullets(conclusions(summary)),
        "## What each policy may see",
        information_table(summary),
        "## Violations of the owners' preferences",
        violations_table(summary),
        "Pairs of prosumer and opportunity; `underpaid` = less than the owner's own ask for what was sold.",
        "## Where the money comes from",
        money_table(summary),
        "USD. Profit = energy + reserve - no-pay - deviation - payments - computing.",
        energy_table(summary),
        "MWh; standby in MW-h. Sold = charging put off + battery + V2G. Forced = bought back for a car that had to be "
        "ready.",
        "## Who bears it",
        fairness_table(summary),
        "Weight sensitivity: 5 % and 95 % quantile of the mean score under random weights of its five components.",
        *language_models(summary),
        "## Caveats",
        _bullets(caveats(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def seeds_report(summary: Mapping[str, Any]) -> str:
    """Return the Markdown report of several seeds: means, and differences on the same seeds."""
    s = summary["scenario"]
    seeds = ", ".join(map(str, summary["finished_seeds"]))
    parts = [
        f"# {s['name']}: {', '.join(summary['policies'])}, {len(summary['seeds'])} seeds",
        f"{s['homes']} homes, scenario hash `{s['hash']}`, seeds {seeds}. Status: {summary['status']}. "
        "One folder per seed holds its own report and tables.",
        "## Means over seeds",
        seeds_table(summary),
        "Mean ± standard error; USD per run.",
    ]
    paired = paired_table(summary)
    if paired:
        parts += [
            "## Differences on the same seeds",
            paired,
            "Policies share every seed's prices, weather and fleet: the difference is known better than either mean.",
        ]
    return "\n\n".join(parts) + "\n"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
