"""Count the stops of a run record on its way from its creation to report.html.

    python tests/walks/record.py OUT        (writes OUT/report.html)

Plays `compare --scenario quick --policies idle truthful` in this process (serial, no figures, no ceilings) and follows,
with sys.setprofile, every call into a project file from the moment when a run's record exists (`_result_of` of
run/job.py has returned) until the command ends; playing the second run is left out. The way that a reader walks is the
list of functions in the order of their first call, each once:

A function is on the way when it is handed the record in any of its forms (a result, its files, its tables, its KPIs or
a summary, or a collection of these); what only reads a field of a frozen dataclass is no function of the way, as
reading a key of a dictionary is none.

- room: a project file on the way;
- stop: a change of room along the way (functions of one file that follow each other are one stop);
- turning back: a stop at a room that was visited before;
- calls between files: all of them, repeats included.

Also counted: parquet files read, months built, and how often the KPIs of a run were put together as a summary.
"""

import os
import sys
from pathlib import Path

import pandas as pd
from vpp_benchmarks.cli.compare import main

repo, out = Path(__file__).resolve().parents[2], sys.argv[1]

parquet = 0
real = pd.read_parquet


def read_parquet(*args, **options):
    global parquet
    parquet += 1
    return real(*args, **options)


pd.read_parquet = read_parquet
COUNTED = {"policy_summary", "summary_json", "summarize", "summarize_seed"}
on, way, known, between, counts, months = False, [], set(), 0, {}, 0


def rel(frame):
    name = frame.f_code.co_filename
    if not name.startswith(str(repo)) or "/.venv/" in name:
        return None
    return os.path.relpath(name, repo)


FORMS = {
    *("Recorder", "Run", "RunResult", "SeedResult", "Means", "Comparison", "Statistics", "Kpis", "Evidence"),
    *("Material", "Gathering", "_Digest", "DataFrame", "Series", "Point"),
}
KEYS = {"policies", "total_profit", "verdict", "manifest.json", "opportunities", "satisfaction"}


def bears(value, depth=3):
    """Whether a value is the record in any of its forms, or holds it."""
    if type(value).__name__ in FORMS:
        return True
    if depth and isinstance(value, dict):
        return bool(KEYS & {k for k in value if isinstance(k, str)}) or any(
            bears(v, depth - 1) for v in list(value.values())[:4]
        )
    if depth and isinstance(value, (list, tuple)):
        return any(bears(v, depth - 1) for v in value[:4])
    return False


def of_the_way(frame):
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if names[:1] == ("self",):
        own = type(frame.f_locals["self"])
        params = getattr(own, "__dataclass_params__", None)
        if (params is not None and params.frozen and code.co_name not in ("files", "to_json")) or issubclass(
            own, tuple
        ):
            return False
    if names[:1] == ("cls",) and code.co_name == "read":
        return True
    return any(bears(frame.f_locals.get(name)) for name in names)


def profile(frame, event, arg):
    global on, between, months
    code = frame.f_code.co_name
    if event == "return" and code == "_result_of":
        on = True
        return
    if event != "call":
        return
    here = rel(frame)
    if here is None:
        return
    if here.endswith("month.py") and code == "__init__":
        months += 1
    if code in COUNTED:
        counts[code] = counts.get(code, 0) + 1
    if code == "play":  # the next run: its record is followed when it exists
        on = False
    if not on or code.startswith("<") or "vpp_env/scenario" in here:
        return
    back = frame.f_back
    while back is not None and rel(back) is None:
        back = back.f_back
    if back is not None and rel(back) != here:
        between += 1
    key = (here, frame.f_code.co_qualname)
    if key not in known and of_the_way(frame):
        known.add(key)
        way.append(here)


argv = ["--scenario", "quick", "--policies", "idle", "truthful", "--no-figures", "--no-ceilings", "--quiet"]
sys.setprofile(profile)
status = main([*argv, "--executor", "serial", "--out", out])
sys.setprofile(None)
stops = [here for k, here in enumerate(way) if k == 0 or way[k - 1] != here]
rooms = list(dict.fromkeys(stops))
print(f"status {status}")
print(f"functions {len(way)}; rooms {len(rooms)}; stops {len(stops)}, of them turning back {len(stops) - len(rooms)}")
print(f"calls between files {between}; parquet files read {parquet}; months built {months}; {counts}")
for here in stops:
    print("  ", here)
