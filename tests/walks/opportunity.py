"""Files and crossings of one opportunity: which of our source files execute, and how often a call enters another one.

    python tests/walks/opportunity.py [policy ...]

One month of `week20` is played; the 42nd opportunity is watched with `sys.setprofile`, after everything is warm. A
crossing is a call into a file of ours whose nearest caller of ours lies in another file (callbacks through NumPy,
LangGraph or CVXPY are attributed to whom of ours they come back to). A compiled kernel is one stop for whoever calls
it; with NUMBA_DISABLE_JIT=1 its inside is seen too.
"""

import contextlib
import sys
import threading
from collections import Counter
from pathlib import Path

from vpp_env import Month, load_scenario, make_policy, simulate

WATCHED = 42  # opportunity that is watched: the evening of the second day, negotiated over rounds
RUN = "(the run)"
OURS = ("vpp_env", "vpp_policies", "vpp_benchmarks")


class Walk:
    def __init__(self):
        self.files, self.crossings, self.edges = Counter(), 0, Counter()

    def ours(self, frame):
        parts = Path(frame.f_code.co_filename).parts
        where = next((i for i, p in reversed(list(enumerate(parts))) if p in OURS), None)
        return None if where is None else "/".join(parts[where:])

    def __call__(self, frame, event, arg):
        if event != "call":
            return
        here = self.ours(frame)
        if here is None:
            return
        self.files[here] += 1
        back = frame.f_back
        while back is not None and self.ours(back) is None:
            back = back.f_back
        caller = self.ours(back) if back is not None else RUN
        if caller != RUN:
            self.files[caller] += 0
        if caller != here:
            self.crossings += 1
            self.edges[caller, here] += 1


class Stop(Exception):
    pass


def walk(spec):
    month = Month(load_scenario("week20"), 0)
    seen, count = Walk(), 0

    def on_opportunity(row):
        nonlocal count
        count += 1
        if count == WATCHED:
            threading.setprofile(seen)
            sys.setprofile(seen)
        elif count == WATCHED + 1:
            sys.setprofile(None)
            threading.setprofile(None)
            raise Stop

    with contextlib.suppress(Stop):
        simulate(month, make_policy(spec), on_opportunity)
    return seen


if __name__ == "__main__":
    for spec in sys.argv[1:] or ["truthful", "agentic"]:
        seen = walk(spec)
        print(f"{spec}: {len(seen.files)} files, {seen.crossings} crossings")
        for name, calls in sorted(seen.files.items()):
            entered = sum(n for (_, to), n in seen.edges.items() if to == name)
            print(f"   {name:55s} {calls:5d} calls, entered {entered}")
