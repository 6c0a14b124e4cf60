"""The same linear programs given to HiGHS without CVXPY: what the solver alone takes."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import highspy
import numpy as np


def model(problem: cp.Problem) -> Any:
    """Return a CVXPY program (a maximum is the negative minimum) at its present parameters as `highspy.HighsLp`."""
    data, _, _ = problem.get_problem_data(cp.HIGHS)
    matrix, equal, inf = data["A"].tocsc(), data["dims"].zero, highspy.kHighsInf
    rows, columns = matrix.shape
    low, high = data.get("lower_bounds"), data.get("upper_bounds")
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = columns, rows
    lp.col_cost_ = data["c"]
    lp.col_lower_ = np.full(columns, -inf) if low is None else low
    lp.col_upper_ = np.full(columns, inf) if high is None else high
    least = np.full(rows, -inf)
    least[:equal] = data["b"][:equal]
    lp.row_lower_, lp.row_upper_ = least, data["b"]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    return lp


def solved(lp: Any, method: str = "choose") -> Any:
    """Solve with a new HiGHS and return it.

    Raises
    ------
    RuntimeError
        When it does not end with an optimum.
    """
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("solver", method)
    solver.passModel(lp)
    return again(solver)


def again(solver: Any) -> Any:
    """Solve what a HiGHS that is kept holds now.

    Raises
    ------
    RuntimeError
        When it does not end with an optimum.
    """
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS ended as {solver.getModelStatus()}; only an optimum can be compared")
    return solver


def optimum(solver: Any) -> float:
    """Objective value of a solved HiGHS."""
    return float(solver.getInfo().objective_function_value)
