"""The pages of the dashboard, and the script that Streamlit runs; each page reads run folders and shows one thing."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from vpp_benchmarks.dashboard import own
from vpp_benchmarks.dashboard.html import plain, show, wrong
from vpp_benchmarks.dashboard.source import (
    archive,
    figures,
    labels_of,
    points_of,
    runs_of,
    state_of,
    unit_of,
)
from vpp_benchmarks.report.conversation import Conversations
from vpp_benchmarks.report.fleet import day as day_chart
from vpp_benchmarks.report.fleet import ordered, power_range
from vpp_benchmarks.report.home import Homes
from vpp_benchmarks.report.material import busiest_day
from vpp_benchmarks.report.result import pareto
from vpp_benchmarks.report.svg import colors, markup
from vpp_benchmarks.report.tables import FOLDER
from vpp_benchmarks.results import store
from vpp_benchmarks.results.run_result import RunResult
from vpp_benchmarks.run.progress import clock

REFRESH_SECONDS = 2
STALE_SECONDS = 30
"""Seconds without a sign of life after which a run under way is called quiet."""


@st.cache_data(show_spinner=False, max_entries=64)
def _table(path: str, name: str, changed: float) -> pd.DataFrame:
    return RunResult.read(Path(path)).table(name)


def table(path: Path, name: str) -> pd.DataFrame:
    """Return a table of a run; read again only where the run has changed."""
    return _table(str(path), name, changed(path))


def pick(roots: Sequence[Path], needs: str = "") -> tuple[Path, RunResult] | None:
    """Let one run be chosen, of those that have the table `needs`."""
    found = {k: p for k, p in runs_of(roots).items() if not needs or (p / f"{needs}.parquet").is_file()}
    if not found:
        st.info(f"No run {'with ' + needs + ' ' if needs else ''}yet.")
        return None
    name = st.selectbox("Run", list(found), key=f"run-{needs}")
    return found[name], RunResult.read(found[name])


def progress(roots: Sequence[Path]) -> None:
    """How far every experiment is, live."""
    st.title("Progress")

    @st.fragment(run_every=REFRESH_SECONDS)
    def live() -> None:
        for root in roots:
            _progress_of(root)

    live()


def _progress_of(root: Path) -> None:
    state, now = state_of(root), time.time()
    total = len(state.planned)
    st.subheader(plain(root.name))
    if not total:
        st.info("Waiting for it to begin: nothing is planned yet.")
        return
    left = state.left(now)
    text = f"{state.done} of {total} runs" + (
        f", about {clock(left)} left" if left is not None and state.running else ""
    )
    st.progress(min(1.0, state.done / total), text)
    counts = {s: list(state.statuses.values()).count(s) for s in dict.fromkeys(state.statuses.values())}
    st.write(", ".join(f"{n} {status}" for status, n in counts.items()) or "nothing has ended yet")
    for name, reason in state.failed.items():
        wrong(f"{name}: {reason}")
    if state.compiling:
        st.info(f"{state.compiling}: kernels of this version are kept for the next run")
    if state.running:
        st.dataframe(pd.DataFrame([_running(name, run) for name, run in state.running.items()]), hide_index=True)
        quiet = now - (state.updated or 0.0)
        if quiet > STALE_SECONDS:
            st.warning(f"No sign of life for {quiet:.0f} s: it may have been killed. Continue it with --resume.")
    elif state.done < total:
        resume = plain(f"Not running. Continue it with --resume {root}")
        st.write("At work between two runs." if store.held(root) else resume)


def _running(name: str, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a run under way."""
    rate, rest = run["rate"], run["total"] - run["played"]
    pace = {"per second": "" if rate is None else f"{rate:.3g}", "left": "" if not rate else clock(rest / rate)}
    played = f"{run['played']} of {run['total']}" if run["played"] else "before the first opportunity"
    return {"run": name, "played": played, **pace, "profit, USD": run["profit"], "violations": run["violations"]}


def comparison(roots: Sequence[Path]) -> None:
    """All runs side by side."""
    st.title("Comparison")
    paths = runs_of(roots)
    with st.spinner(f"Reading {len(paths)} runs"):
        runs = {name: RunResult.read(path) for name, path in paths.items()}
    rows = pd.DataFrame([{"folder": paths[name].parent.parent.name, **figures(run), "run": name}
                         for name, run in runs.items()])  # fmt: skip
    if rows.empty:
        st.info("No run yet.")
        return
    # figures of different worlds are never put together
    world = st.selectbox("Case", sorted(set(rows["world"])), key="case")
    labels = st.multiselect("Policies", sorted(set(rows["policy"])), default=sorted(set(rows["policy"])))
    folders = sorted(set(rows["folder"]))
    wanted = st.multiselect("Folders", folders, default=folders) if len(folders) > 1 else folders
    chosen = rows[(rows["world"] == world) & rows["policy"].isin(labels) & rows["folder"].isin(wanted)]
    done = chosen[chosen["status"] == "complete"]
    if len(done):
        with st.spinner(f"Reading the homes of {len(done)} runs"):
            homes = {
                str(label): pd.concat([table(paths[name], "prosumers") for name in part["run"]])
                for label, part in done.groupby("policy", sort=False)
            }
        css = colors(labels_of(roots))
        drawn = pareto(points_of([runs[name] for name in done["run"]]), css)
        drawn += ordered(homes, "satisfaction", "satisfaction", css)
        show(f'<div class="grid2">{drawn}</div>')
    st.dataframe(chosen.drop(columns=["run", "world"]).round(4), hide_index=True)


def prices(roots: Sequence[Path]) -> None:
    """Prices of a day, and what the fleet did in it: every policy's run of the same month side by side."""
    st.title("Prices")
    chosen = pick(roots, "prices")
    if chosen is None:
        return
    path, run = chosen
    series = table(path, "prices")
    others = {p: RunResult.read(p) for p in runs_of([path.parent.parent]).values()}
    beside = {path: run} | {p: r for p, r in others.items() if unit_of(r) == unit_of(run)}
    played = {r.label: t for p, r in beside.items() if len(t := table(p, "intervals"))}
    days = sorted(set(series["timestamp"].dt.date))
    busiest = days.index(busiest_day([played[run.label]]).date()) if run.label in played else 0
    date = st.selectbox("Day", days, busiest, key="price-day")
    mine = series[series["timestamp"].dt.date == date]
    of_day = {label: t[t["timestamp"].dt.date == date] for label, t in played.items()}
    of_day = {label: t for label, t in of_day.items() if len(t)}
    if of_day:
        most = power_range(of_day.values())
        drawn = [f"<div><h3>{markup(k)}</h3>{day_chart(t, played[k], mine, k, most)}</div>" for k, t in of_day.items()]
        show(f'<div class="grid2">{"".join(drawn)}</div>')
    st.dataframe(mine, hide_index=True)


@st.cache_resource(show_spinner="Reading the run", max_entries=4)
def _homes(path: str, changed: float) -> Homes:
    return Homes(RunResult.read(Path(path)))


@st.cache_resource(show_spinner="Reading the run", max_entries=4)
def _conversations(path: str, changed: float) -> Conversations:
    return Conversations(_homes(path, changed))


def changed(path: Path) -> float:
    """Return when a run was last written, so that what is kept of it is made again."""
    return (path / "manifest.json").stat().st_mtime


def conversation(roots: Sequence[Path]) -> None:
    """The conversation of any hour."""
    st.title("Conversation")
    chosen = pick(roots, "transcripts")
    if chosen is None:
        st.write("Only policies that negotiate leave transcripts.")
        return
    found = _conversations(str(chosen[0]), changed(chosen[0]))
    hours = list(found.hours)
    hour = st.selectbox("Hour", hours, hours.index(found.best), format_func=lambda o: found.hours[o], key="hour")
    show(found.page(hour))


def prosumer(roots: Sequence[Path]) -> None:
    """One home's month."""
    st.title("One home's month")
    chosen = pick(roots, "prosumers")
    if chosen is None:
        return
    homes = _homes(str(chosen[0]), changed(chosen[0]))
    best = int(homes.homes["net_benefit_usd"].argmax())
    show(homes.page(int(st.number_input("Home", 0, len(homes) - 1, best, key="home"))))


def export(roots: Sequence[Path]) -> None:
    """Files to take along, also of a run under way: what has ended is whole."""
    st.title("Export")
    for root in roots:
        state = state_of(root)
        st.subheader(plain(root.name))
        if state.done < len(state.planned):
            st.info(f"{state.done} of {len(state.planned)} runs are there; reports are written at the end.")
        names = (store.HTML, store.REPORT, store.RESULTS, store.SUMMARY, store.STATISTICS)
        files = [root / name for name in names] + sorted((root / FOLDER).glob("*"))
        for path in (f for f in files if f.is_file()):
            st.download_button(path.name, path.read_bytes(), f"{root.name}-{path.name}", key=str(path))
        rows = pd.DataFrame([figures(RunResult.read(path)) for path in runs_of([root]).values()])
        if len(rows):
            csv = rows.to_csv(index=False).encode()
            st.download_button("figures so far, CSV", csv, f"{root.name}-figures.csv", key=f"figures-{root}")
    chosen = pick(roots)
    if chosen is not None:
        path, _ = chosen
        st.download_button("run folder, zip", archive(path), f"{path.name}.zip", key="zip")
        for name in ("opportunities", "intervals", "prosumers", "dispatch", "events", "prices"):
            if (path / f"{name}.parquet").is_file():
                content = table(path, name).to_csv(index=False).encode()
                st.download_button(f"{name}.csv", content, f"{path.name}-{name}.csv", key=f"csv-{name}")


PAGES: Mapping[str, tuple[str, Any]] = {
    "progress": ("Progress", progress),
    "comparison": ("Comparison", comparison),
    "prices": ("Prices", prices),
    "conversation": ("Conversation", conversation),
    "home": ("One home", prosumer),
    "scenario": ("Scenario", own.scenario),
    "data": ("Data", own.data),
    "statement": ("Statement", own.statement),
    "export": ("Export", export),
}
"""Pages by the last part of their address."""


def app(roots: list[Path]) -> None:
    """Show the page that was chosen."""
    st.set_page_config(page_title="vpp_env", layout="wide")
    pages = [
        st.Page(partial(page, roots), title=title, url_path=address, default=address == "progress")
        for address, (title, page) in PAGES.items()
    ]
    st.navigation(pages).run()


if __name__ == "__main__":
    app([Path(argument) for argument in sys.argv[1:]])
