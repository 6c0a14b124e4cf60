"""Measured data that do not travel with the package, and who needs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("VPP_ENV_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no measured data: set VPP_ENV_DATA to their folder")
