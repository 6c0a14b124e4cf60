"""A small sample of every fuzzer, and what the fuzzers have found; `python -m tests.fuzz` runs them at length."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vpp_benchmarks.train import data
from vpp_policies.arrays import read_arrays
from vpp_policies.forecast import DEFAULT_MODEL, make_forecaster
from vpp_policies.learned import WEIGHTS, load
from vpp_policies.llm.scripted import read_statement
from vpp_policies.llm.settings import load_settings, secret

from tests.fuzz.harness import HangError, Target, check_finite, ended, one_line, run, within
from tests.fuzz.targets import TARGETS
from vpp_env import N_ACTION, N_OBS, OBSERVATION_VERSION
from vpp_env.contract.policy import make_policy
from vpp_env.errors import DataError, PolicyError, UnknownNameError, VppError


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
def test_a_sample_ends_well_or_in_one_line(target: Target) -> None:
    tally = run(target, (*range(target.quick), *target.kept))
    assert [f"seed {fault.seed}: {fault.told}" for fault in tally.faults] == []
    assert tally.inputs == target.quick + len(target.kept) == tally.refused + tally.accepted


def test_the_harness_sees_every_kind_of_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.harness.HANG_S", 0.2)

    class LoudError(VppError):
        def __str__(self) -> str:
            return "two\nlines"

    def ends(do: Callable[[], None]) -> str:
        return ended(lambda rng, folder: do(), 0, tmp_path)[0]

    def fails(error: BaseException) -> str:
        def do() -> None:
            raise error

        return ends(do)

    assert [fails(VppError("fine")), fails(LoudError())] == ["refused", "message"]
    assert [fails(KeyError("x")), fails(SystemExit(2))] == ["traceback", "traceback"]
    assert ends(lambda: check_finite("x", [1.0, np.nan])) == "not finite"
    assert ends(lambda: check_finite("x", [1, 2])) == "accepted"
    assert ends(lambda: time.sleep(5)) == "hang"
    with pytest.raises(HangError), within(0.05):
        time.sleep(1)


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31mb", "a" * 10_000_000, "a\u2028b", "\ud800", "a\u202eb", "\r\x00"])
def test_every_error_is_one_line_whatever_is_put_into_it(text: str) -> None:
    for error in (VppError(f"got {text}"), UnknownNameError(f"got {text}")):
        assert one_line(str(error))
        assert str(error).startswith("got ")
        str(error).encode()
    assert str(VppError("got 'häuser' 中\tx")) == "got 'häuser' 中 x", "a tab is no printable character"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mpc(forecaster=1)", "mpc: forecaster: got 1; allowed is printable text"),
        ("fleet(forecaster=False)", "fleet: forecaster: got False; allowed is printable text"),
        ("agentic(max_rounds='3')", "agentic: max_rounds: got '3'; allowed is int"),
        ("agentic(max_rounds=2.5)", "agentic: max_rounds: got 2.5; allowed is int"),
        ("agentic(brain='llm', budget_usd=1e999)", "allowed is a finite number or None"),
        ("agentic(brain='llm', cassette='a\\x00b')", "allowed is printable text"),
        ("agentic(brain='llm', llm='openai', timeout_s=1e308)", "timeout_s: got 1e+308; allowed is above 0, up to"),
        (f"constant(sell_ask='{'a' * 3000}')", "... (3002 characters); allowed is a finite number"),
        (":X", "is no name of a module"),
        ("a..b:X", "is no name of a module"),
        ("a\nb:X", "policy cannot be read"),
    ],
)
def test_options_are_of_their_type_and_modules_have_names(spec: str, words: str) -> None:
    with pytest.raises((PolicyError, UnknownNameError), match=re.escape(words)) as caught:
        make_policy(spec)
    assert one_line(str(caught.value))


NPZ = {
    "no zip": b"x",
    "one array": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n" + b"\0" * 8,
    "empty": b"",
}


def changed(path: Path, **parts: np.ndarray | None) -> bytes:
    """The arrays of a file, some of them others, or none."""
    with np.load(path) as whole:
        arrays = {name: whole[name] for name in whole} | parts
    made = io.BytesIO()
    np.savez(made, **{name: array for name, array in arrays.items() if array is not None})
    return made.getvalue()


def test_files_of_arrays_are_refused_by_what_is_wrong(tmp_path: Path) -> None:
    file, weights = tmp_path / "f.npz", WEIGHTS / "truthful_linear.npz"
    about = np.frombuffer(b"[]", np.uint8)
    cases = [(content, "cannot be read|no price model") for content in NPZ.values()]
    cases += [
        (changed(weights, w0=np.full((81, 8), np.inf)), "holds inf|no price model"),
        (changed(weights, w0=np.full((81, 8), "x")), "is <U1 of shape"),
        (changed(weights, layers=np.array([1, 2])), "'layers' is int64 of shape"),
        (changed(weights, layers=np.array(10**9)), "says that it has 1000000000 layers"),
        (changed(weights, layers=np.array(1.5)), "'layers' is 1.5; allowed is a whole number"),
        (changed(weights, observation_version=None), "it holds "),
        (changed(weights, b0=np.full(8, 1e300)), r"holds 1e\+300; allowed are finite numbers up to 1e\+09"),
    ]
    for content, words in cases:
        file.write_bytes(content)
        with pytest.raises(PolicyError, match=words):
            load(file)
    prices: list[tuple[dict[str, np.ndarray | None], str]] = [
        ({"about": about}, "it is of format None"),
        ({"reserve": np.zeros((1, 8, 36))}, "'reserve' is float64 of shape"),
        ({"dear_share": np.array(0.5)}, "'dear_share' is float64 of shape"),
        ({"weight": np.zeros((16, 8, 36))}, "nothing together"),
        ({"numbers": np.array([np.nan, 0.5])}, "'numbers' holds nan"),
        ({"days": None}, "does not say on which days"),
    ]
    for parts, words in prices:
        file.write_bytes(changed(DEFAULT_MODEL, **parts))
        with pytest.raises(PolicyError, match=words):
            make_forecaster(str(file))
    version = np.array(OBSERVATION_VERSION)
    rows = {
        "observations": np.zeros((1, 2, 3, N_OBS), "f4"),
        "actions": np.zeros((1, 2, 3, N_ACTION), "f4"),
        "observation_version": version,
    }
    np.savez(file, **rows)
    assert data.read(file)[1].shape == (6, N_ACTION)
    for name, part, words in (
        ("actions", rows["actions"][:, :1], r"actions of \(1, 1, 3\)"),
        ("actions", rows["actions"][0], "'actions' is float32 of shape"),
        ("observations", rows["observations"] * np.nan, "'observations' holds nan"),
        ("observation_version", version + 1, "it has version"),
    ):
        np.savez(file, **(rows | {name: part}))
        with pytest.raises(DataError, match=words):
            data.read(file)
    np.savez_compressed(file, a=np.zeros(40_000_000))
    with pytest.raises(ValueError, match="take 320000128 bytes; allowed are"):
        read_arrays(file)


def test_keys_models_and_numbers_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"KEY=\x98\n")
    with pytest.raises(DataError, match="allowed are lines NAME=value, as UTF-8 text"):
        secret(("KEY_THAT_IS_NOT_SET",))
    Path("m.toml").write_text('[x]\nmodel = "m"\nusd_per_mtok_in = "' + "a" * 5000 + '"\n', encoding="utf-8")
    with pytest.raises(DataError) as caught:
        load_settings("x", "m.toml")
    assert one_line(str(caught.value))
    card = read_statement(f"Keep {'9' * 400} kWh. Charge the car to {'1' * 400} %.")
    assert (card["reserve_wh"], card["target_percent"]) == (-1, -1)
