"""The report of a comparison, written from its summary alone: every sentence is computed from the figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vpp_benchmarks.report.conclusions import caveats, conclusions
from vpp_benchmarks.report.language_models import language_models
from vpp_benchmarks.report.tables import (
    ceilings_table,
    difference_table,
    energy_table,
    fairness_table,
    headline_table,
    information_table,
    interval_table,
    markdown,
    money_table,
    number,
    paired_table,
    percent,
    seeds_table,
    violations_table,
)

if TYPE_CHECKING:
    from vpp_benchmarks.run.plan import Plan


def _ceilings(summary: Mapping[str, Any]) -> list[str]:
    """What could have been earned, and by how much each policy falls short of it."""
    bounds = summary.get("ceilings")
    if not bounds:
        return []
    free, kept = (bounds[name]["value"] for name in ("free", "preferences"))
    text = (
        f"Joint surplus that no policy can exceed: {number(kept[1])} USD inside the owners' preferences (a plan of the "
        f"relaxation is worth {number(kept[0])}), {number(free[1])} USD without them ({number(free[0])}). Brackets are "
        f"proven, the widest to {percent(bounds['gap'], 2)}. Score = joint surplus / the first; regret = what is short "
        "of it. The ceilings know no minimum bid and all the future."
    )
    return ["## What could have been earned", ceilings_table(summary), text]


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
        *_ceilings(summary),
        "## What each policy may see",
        information_table(summary),
        "## Violations of the owners' preferences",
        violations_table(summary),
        "Pairs of prosumer and opportunity; `underpaid` = less than the owner's own ask for what was sold.",
        "## Where the money comes from",
        money_table(summary),
        "USD. Profit = energy + reserve - no-pay - deviation - payments - computing.",
        energy_table(summary),
        "MWh; standby in MW-h. Sold = deferred charging + battery + V2G. Forced = bought back for a car that had to be "
        "ready.",
        "## Who bears it",
        fairness_table(summary),
        "Weight sensitivity: 5 % and 95 % quantile of the mean score under random weights of its five components.",
        *language_models(summary),
        "## Caveats",
        _bullets(caveats(summary)),
    ]
    return "\n\n".join(parts) + "\n"


def seeds_report(summary: Mapping[str, Any], statistics: Mapping[str, Any] | None = None) -> str:
    """Return the Markdown report of several seeds: means, differences on the same seeds, and what they allow to say."""
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
    return "\n\n".join([*parts, *_statistics(statistics)]) + "\n"


def experiment_report(statistics: Mapping[str, Any], status: str, cases: Mapping[str, Plan]) -> str:
    """Return the Markdown report of several cases."""
    rows = [(case, str(p.scenario.fleet.size), str(p.scenario.hours), p.scenario.time.start, f"`{p.scenario.hash}`")
            for case, p in cases.items()]  # fmt: skip
    parts = [
        f"# {', '.join(cases)}",
        f"Status: {status}. One folder per case holds its own report and tables.",
        markdown(["case", "homes", "hours", "start", "scenario hash"], rows, text_columns=5),
    ]
    return "\n\n".join([*parts, *_statistics(statistics)]) + "\n"


def _statistics(statistics: Mapping[str, Any] | None) -> list[str]:
    """Sections on intervals and tests; empty where nothing was compared."""
    if not statistics or not statistics.get("policies"):
        return []
    volume = statistics["hypervolume"]
    parts = [
        "## Intervals",
        interval_table(statistics),
        f"{statistics['units']} units of one month and seed. Brackets: {100 * statistics['confidence']:.0f} % "
        "bootstrap interval, seeds drawn anew inside each case; IQM: mean of the middle half.",
        "## What may be said",
        _bullets(statistics["verdict"]),
    ]
    if statistics["differences"]:
        parts[3:3] = [
            difference_table(statistics),
            "P(better): chance that a unit of the one is above a unit of the other (any pair, ties half). p: Wilcoxon "
            "signed-rank on the same units, corrected by Holm over the comparisons of a figure.",
        ]
    front = ", ".join(statistics["pareto_front"])
    parts.append(
        f"Not beaten in profit and satisfaction at once: {front}. Together they dominate {volume['all']:,.2f} USD x "
        "score above 0 USD and satisfaction 0."
    )
    return parts


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
