"""HiGHS without its banner: who solves with it takes `HIGHS` from here.

The first `Highs()` of a process writes two lines of version and copyright to file descriptor 1, whatever its options
say, and so into the output of every command. It is made here, with that descriptor turned away.
"""

from __future__ import annotations

import os
import sys

import cvxpy as cp
import highspy


def _first_solver() -> None:
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output: nothing to keep clean
        highspy.Highs()
        return
    if sys.stdout is not None:
        sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        highspy.Highs()
    finally:
        os.dup2(kept, 1)
        os.close(nowhere)
        os.close(kept)


_first_solver()
HIGHS: str = cp.HIGHS
