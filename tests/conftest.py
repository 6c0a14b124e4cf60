"""Fixtures shared by all tests."""

from __future__ import annotations

import pytest
from support import begin, month

from vpp_env.simulation.month import Month
from vpp_env.simulation.world import World


@pytest.fixture
def quick_month() -> Month:
    """Five homes for six evening hours (shared: do not change it)."""
    return month("quick")


@pytest.fixture
def quick_world(quick_month: Month) -> World:
    """A fresh world of `quick`."""
    return begin(quick_month)
