"""Owners over time: who takes no bid, who has left for good, and how annoyed they are, day by day."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from vpp_benchmarks.report.course import Course
from vpp_benchmarks.report.material import Material
from vpp_benchmarks.report.svg import Plot, colors, days, extent, legend, markup
from vpp_benchmarks.results.run_result import RunResult
from vpp_env.owners.patience import NOTICED_KWH
from vpp_env.units import Floats

CURVES = {"owners_out": "Owners who took no bid", "owners_lost": "Owners who had left for good"}
"""Columns of a course: owners on a day."""
CALLED = ("bess_kwh", "v2g_kwh")
"""Columns of dispatch: what storage gave."""


def over_time(m: Material) -> str:
    """Return the section."""
    courses = {k: c for k, c in m.courses.items() if set(CURVES) <= set(c.days.columns)}
    if not courses:
        return ""
    css = colors(m.planned.labels)
    none = [label for label, c in courses.items() if not c.days["owners_out"].any()]
    tired = {run.label: annoyance(run) for run in m.shown if run.complete and run.label in courses}
    over = f"Means over {len(m.seeds)} runs. " if len(m.seeds) > 1 else ""
    drawn = "" if len(none) == len(courses) else out_by_day(courses, css)
    if max((len(curve) for curve in tired.values()), default=0) > 1:
        drawn += _curves(tired, css, "Annoyance of an owner, mean", "points", extent(_all(tired), zero=True))
    keys = legend([(label, css[label], "line") for label in courses])
    nobody = f"<p>Nobody opted out: {escape(', '.join(none))}.</p>" if none else ""
    origin = m.shown[0].origin
    what = f"Annoyance is of {origin.case}, seed {origin.seed}: points of calls and of broken preferences that fade, "
    what += "of owners with something to offer; offers that were turned down add some and are not in the record."
    if not drawn:
        return nobody
    return f"<div class=grid3>{drawn}</div>{keys}{nobody}<p class=note>{markup(over + what)}</p>"


def out_by_day(courses: Mapping[str, Course], css: Mapping[str, str]) -> str:
    """Draw owners out, and those who have left for good, on one scale."""
    some = {column: {k: c.days[column].to_numpy(dtype=np.float64) for k, c in courses.items()} for column in CURVES}
    scale = extent([v for curves in some.values() for v in _all(curves)], zero=True)
    return "".join(_curves(curves, css, CURVES[column], "owners", scale) for column, curves in some.items())


def _all(curves: Mapping[str, Floats]) -> list[float]:
    return [float(v) for curve in curves.values() for v in curve]


def _curves(
    curves: Mapping[str, Floats], css: Mapping[str, str], title: str, unit: str, scale: tuple[float, float]
) -> str:
    last = max(len(curve) for curve in curves.values())
    plot = Plot((1.0, float(max(last, 2))), scale, title, 230).axes("day of the run", unit, days(last))
    for label, curve in curves.items():
        plot.line(list(range(1, len(curve) + 1)), curve.tolist(), css[label], tip=label)
    return f"<figure><figcaption>{markup(title)}</figcaption>{plot.svg()}</figure>"


def annoyance(run: RunResult) -> Floats:
    """(days,) mean annoyance at the end of every local day, from the record, of owners with something to offer.

    The rule of `vpp_env.owners.patience` without the points of offers that were turned down.
    """
    spec, homes, played = run.origin.scenario.full.owners, run.table("prosumers"), run.table("opportunities")
    number = {day: j for j, day in enumerate(dict.fromkeys(played["timestamp"].dt.date))}
    called, broken = (np.zeros((len(number), len(homes))) for _ in range(2))
    dispatch, events = run.table("dispatch"), run.table("events")
    if len(dispatch):
        at = dispatch["timestamp"].dt.date.map(number).to_numpy(dtype=np.int64)
        np.add.at(called, (at, dispatch["prosumer"].to_numpy()), dispatch[list(CALLED)].sum(axis=1).to_numpy())
    if len(events):
        own = events[events["prosumer"] >= 0]
        broken[own["timestamp"].dt.date.map(number).to_numpy(dtype=np.int64), own["prosumer"].to_numpy()] = 1.0
    points = spec.called_points * (called > NOTICED_KWH) + spec.violation_points * broken
    level, levels = np.zeros(len(homes)), []
    for day in points:
        level = level * 0.5 ** (1.0 / spec.half_life_days) + day
        levels.append(level)
    able = homes["satisfaction"].notna().to_numpy()
    return np.array([one[able].mean() if able.any() else 0.0 for one in levels])
