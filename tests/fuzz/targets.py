"""All that is fuzzed."""

from __future__ import annotations

from tests.fuzz.homes import HOMES
from tests.fuzz.prices import PRICE_FILES
from tests.fuzz.replies import CASSETTES, REPLIES
from tests.fuzz.results import RESULTS
from tests.fuzz.scenarios import EXPERIMENTS, SCENARIOS, SET, SPECS
from tests.fuzz.weights import LEARNED

TARGETS = (SCENARIOS, SET, EXPERIMENTS, SPECS, PRICE_FILES, HOMES, CASSETTES, RESULTS, LEARNED, REPLIES)
