"""Months on a GPU: the same as on the CPU, shown by Numba's simulator; and what is refused.

The bits are those of the kernels' source; that a card's compiler makes no one rounding of a product and a sum is
seen in the code that it makes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from vpp_env import BidError, DayAheadSchedule, VectorMarketMonth, VppError, load_scenario
from vpp_env.contract.observation import COLUMNS
from vpp_env.core.ledger import L_BEYOND, L_PAY_CAPACITY, N_LEDGER
from vpp_env.owners.patience import rules_of
from vpp_env.simulation.world import World

MONTHS = [10_000, 10_001, 10_000]
COMMON = {"fleet.size": 3, "time.start": "2023-08-01T21:00", "time.duration_hours": 4}
CASES: dict[str, dict[str, Any]] = {
    # feeders that bind, calls, regulation, owners who opt out at midnight
    "feeders": {
        "market.feeder_homes": 2,
        "market.feeder_kw": 3.0,
        "market.regulation": True,
        "market.call_probability": 0.5,
        "market.deviation_kappa": 0.25,
        "reward.team_share": 0.3,
        "owners.called_risk": 2.0,
        "home.control": "self_consumption",
        "market.clearing": "logit",
    },
    # bids that wait, an hour and a quarter ahead, over midnight; they move the price
    "ahead": {
        "market.gate_lead_minutes": 75,
        "market.call_probability": 0.5,
        "owners.called_risk": 2.0,
        "market.max_share_of_flexible": 0.5,
        "market.clearing": "residual_supply",
        "market.residual_slope_usd_per_mwh_per_mw": 5000.0,
    },
    # a cap that binds, awards that are void, gateways, a programme's event
    "cap": {
        "market.max_capacity_mw": 0.006,
        "market.minimum": "award",
        "market.min_bid_mw": 0.003,
        "market.payment": "uniform",
        "market.safeguard": True,
        "market.compute_usd_per_hour": 0.1,
        "market.programme": "elrp",
        "market.programme_temp_c": -20.0,
        "time.opportunity_minutes": 30,
        "time.duration_hours": 3,
        "time.start": "2023-08-01T19:00",
        "market.two_settlement": True,
    },
    # gateways that are opened home by home, for bids that wait
    "gateways": {
        "market.safeguard": True,
        "market.gate_lead_minutes": 75,
        "market.regulation": True,
        "market.call_probability": 0.5,
        "fleet.share_bess": 1.0,
        "time.duration_hours": 8,
    },
    # owners who opt out, come back and leave for good, one day of 25 hours; what is left bounds the cap
    "owners": {
        "owners.called_risk": 1.0,
        "owners.times_to_leave": 2,
        "owners.return_share": 0.8,
        "owners.tolerance_factor": 0.1,
        "market.call_probability": 0.5,
        "market.max_share_of_flexible": 0.9,
        "fleet.share_bess": 1.0,
        "time.opportunity_minutes": 60,
        "time.start": "2023-11-03T18:00",
        "time.duration_hours": 80,
    },
    # firm capacity: an evening that is past, and one that is committed and called; a schedule is handed in
    "firm": {
        "market.firm_capacity": True,
        "market.two_settlement": True,
        "market.capacity_hours": (13.0, 14.0),
        "market.capacity_least_performance": 0.1,
        "market.day_ahead_gate_hour": 10,
        "market.min_bid_mw": 0.0005,
        "owners.called_risk": 0.3,
        "fleet.size": 2,
        "time.opportunity_minutes": 60,
        "time.start": "2023-08-01T13:00",
        "time.duration_hours": 49,
    },
}


ROOM = {"feeders": {"SETTLED": 2, "SEEN": 2}, "ahead": {"SETTLED": 1, "SEEN": 1, "IN_BLOCK": 0}, "cap": {"IN_BLOCK": 2}}
"""Case -> homes that a block has room for at a time, where not for all."""


def actions_of(rng: np.random.Generator, months: int, homes: int, few: bool) -> Any:
    """Bids of which many clear; `few`: of little energy."""
    a = rng.uniform(-1.0, 1.0, (months, homes, 8))
    a[..., [1, 3, 7]] = rng.uniform(-1.0, -0.4, (months, homes, 3))
    a[..., 5] = rng.uniform(0.0, 1.0, (months, homes))
    if few:
        a[..., [0, 2, 4]] = -0.95
    return a.astype(np.float32)


def hand_in(face: VectorMarketMonth, step: int) -> None:
    """Hand in what the first and the third month commit and schedule, at the gate; the second leaves it open.

    In two steps of three some gateways are opened.
    """
    given: dict[str, Any] = {}
    if step % 3:
        shape = (face.num_envs, face.single_action_space.shape[0])
        given["override"] = np.arange(shape[0] * shape[1]).reshape(shape) % 2 == step % 2
    if face.capacity_gate:
        hours = len(face.schedule_hours)
        schedule = DayAheadSchedule(np.full(hours, 1.5), np.full(hours, 0.01))
        given |= {"capacity": [0.8, None, 1.2], "schedules": [schedule, None, None]}
    face.submit(**given)


def on_cpu(name: str, folder: Path) -> dict[str, Any]:
    """Play a case on the CPU; keep its actions for the simulator."""
    scenario = load_scenario("quick").override(COMMON | CASES[name])
    face, rng = VectorMarketMonth(len(MONTHS), scenario), np.random.default_rng(7)
    obs, _ = face.reset(seed=list(MONTHS))
    made: dict[str, list[Any]] = {"observations": [obs]}
    taken, over = [], False
    m, n = len(MONTHS), scenario.fleet.size
    while not over:
        taken.append(actions_of(rng, m, n, len(taken) % 3 == 2))
        hand_in(face, len(taken) - 1)
        obs, reward, _, ends, infos = face.step(taken[-1])
        over = bool(ends.all())
        world, outcome = face._session.world, face._session.outcome
        assert world is not None
        assert outcome is not None
        state = np.stack([*world.state.battery, *world.state.vehicle]).reshape(7, m, n)
        booked = (outcome.lmp, outcome.award_kw, outcome.reserve_kw)
        one = {
            "observations": obs,
            "reward": reward,
            "homes": infos["home_rewards"],
            "profit": infos["vpp_profit_usd"],
            "costs": infos["costs"],
            "state": state.swapaxes(0, 1),
            "headroom": np.stack(world.headroom).reshape(-1, m, n).swapaxes(0, 1),
            "ledger": outcome.ledger.swapaxes(0, 1),
            "booked": np.stack(booked).transpose(2, 1, 0),
            "flows": outcome.flow_kw.transpose(2, 0, 1),
            "feeders": outcome.feeders.transpose(2, 0, 1),
            "void": outcome.void.T,
            "owners": owners_of(world),
            "absent": np.stack([world.patience.absent(ahead).reshape(m, n) for ahead in (0, 1)], axis=1),
        }
        for key, value in one.items():
            made.setdefault(key, []).append(value)
    np.save(folder / f"{name}-actions.npy", np.array(taken))
    return {key: np.array(values) for key, values in made.items()} | kpis_of(infos)


def owners_of(world: World) -> Any:
    """(M, 3, N) annoyance as it will have faded by the end of the day, days out, times out."""
    state, spec = world.patience._state, world.scenario.owners
    rows = [state.annoyance * rules_of(spec).fade, state.days_out, state.times]
    return np.stack(rows).reshape(3, world.n_months, -1).swapaxes(0, 1)


def kpis_of(infos: dict[str, Any]) -> dict[str, Any]:
    """What the last infos say that the months came to, named apart from what each opportunity brought."""
    return {f"kpi {name}": value for name, value in infos["kpis"].items()}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Case -> what it came to on the CPU, and on the simulator."""
    folder = tmp_path_factory.mktemp("cuda")
    cpu = {name: on_cpu(name, folder) for name in CASES}
    cases = [
        {"name": name, "seeds": MONTHS, "changes": COMMON | changes, "room": ROOM.get(name, {})}
        for name, changes in CASES.items()
    ]
    (folder / "cases.json").write_text(json.dumps(cases))
    script = str(Path(__file__).with_name("simulated.py"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script, str(folder)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: (cpu[name], dict(np.load(folder / f"{name}-cuda.npz"))) for name in CASES}


@pytest.mark.parametrize("name", CASES)
def test_a_month_on_the_simulator_is_the_same_to_the_bit(name: str, played: dict[str, Any]) -> None:
    cpu, cuda = played[name]
    mixed = "reward.team_share" in CASES[name]
    exact = ("state", "ledger", "observations", "costs", "profit", "void", "absent", "owners", "headroom")
    for key in exact if mixed else (*exact, "homes"):
        assert np.array_equal(cpu[key], cuda[key]), (key, np.argwhere(cpu[key] != cuda[key])[:5])
    # rows of a month's sums: price, award, called, reserve, its pay, what was projected, flows, batteries, feeders
    sums = cuda["flows"]
    assert np.array_equal(cpu["booked"], sums[..., [0, 1, 3]])
    assert np.array_equal(cpu["flows"], sums[..., 6:24])
    assert np.array_equal(cpu["feeders"], sums[..., 26:28])
    # the host adds homes in pairs, a GPU in their order: that is in their sum, and in what is mixed with it
    for key in ("reward", "homes"):
        np.testing.assert_allclose(cuda[key], cpu[key], rtol=0, atol=1e-13)
    kpis = [key for key in cpu if key.startswith("kpi ")]
    assert len(kpis) > 20
    for key in kpis:
        np.testing.assert_allclose(cuda[key], cpu[key], rtol=0, atol=1e-12 if "welfare" in key else 0, err_msg=key)


def test_the_cases_try_what_they_say(played: dict[str, Any]) -> None:
    feeders, cap, ahead = played["feeders"][0], played["cap"][0], played["ahead"][0]
    assert (ahead["booked"][2:, ..., 1] != 0.0).any()
    assert not ahead["booked"][:2, ..., 1].any()
    assert ahead["absent"].any()
    # the first and the third month are one, but for their bids
    assert (ahead["booked"][3, 0, :, 0] != ahead["booked"][3, 2, :, 0]).any()
    assert feeders["feeders"][..., 1].any()
    assert feeders["absent"].any()
    assert feeders["ledger"].shape[2] == N_LEDGER
    assert (feeders["booked"][..., 2] > 0.0).any()
    assert cap["void"].any()
    sold = cap["booked"][..., 1]
    assert sold.max() == pytest.approx(6.0, abs=0.03)
    owners = played["owners"][0]
    out, (annoyance, days_out, times) = owners["absent"][:, :, 0], owners["owners"].transpose(2, 0, 1, 3)
    assert len(np.unique(annoyance)) > 10
    assert (days_out > 1).any()
    back = (np.diff(out.astype(int), axis=0) < 0) & (times[1:] == 1)
    assert back.any(), "one comes back"
    assert (out & (days_out == 0)).any(), "and one does not: it has left for good"
    assert (times >= 2)[out & (days_out == 0)].all()
    firm = played["firm"][0]
    assert (firm["ledger"][-1, :, L_PAY_CAPACITY] > 0.0).any()
    assert firm["profit"][-1].min() < -0.3, "one month gives too little, and pays"
    for name in ("capacity_kw", "schedule_kw"):
        assert firm["observations"][..., COLUMNS.index(name)].max() > 0.0
    # bids wait two opportunities, and what opens gateways waits with them
    gateways = played["gateways"][0]
    bid_at, home = np.arange(8)[:, None] - 2, np.arange(9)
    opened = (bid_at >= 0) & (bid_at % 3 > 0) & (home % 2 == bid_at % 2)
    beyond = gateways["ledger"][:, :, L_BEYOND].reshape(8, 9) > 0.0
    assert beyond.any(axis=1).sum() > 1
    assert not beyond[~opened].any()
    assert gateways["kpi violations"].all()
    assert gateways["kpi private_cost"].all()


def test_training_beside_the_months_is_the_same_on_both() -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    script = str(Path(__file__).with_name("trained.py"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_no_product_is_fused_with_a_sum_in_what_a_card_runs() -> None:
    pytest.importorskip("numba_cuda", reason="the extra cuda is not installed")
    script = str(Path(__file__).with_name("to_ptx.py"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    assert all(" 0 fused multiply-adds" in line for line in lines), done.stdout
    assert all(" 0 calls" in line for line in lines), (
        "threads must not wait for each other in a function that is called"
    )


def test_what_a_block_keeps_fits_into_its_memory() -> None:
    from vpp_env.api.device.kernels import N_SUMMED, PARTS
    from vpp_env.api.device.memory import IN_BLOCK, MOST_THREADS, N_LINES, N_WHOLE

    summed, told = 8 * N_SUMMED * (MOST_THREADS + 1), 8 * 3 * (MOST_THREADS + PARTS)
    assert summed + told + 4 * IN_BLOCK * (N_WHOLE + 2 * N_LINES) <= 48 * 1024
    assert MOST_THREADS % 32 == 0
    assert 32 % PARTS == 0


def test_another_compiler_of_a_card_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import cuda
    from numba.cuda.cudadrv import nvvm

    from vpp_env.api.device.exact import exact, exactly

    class Other:
        """Compiles, but not by the function that takes the option."""

        overloads: ClassVar[dict[Any, str]] = {}

        def compile(self, signature: Any) -> str:
            return self.overloads.setdefault(signature, "code")

    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(cuda, "jit", lambda **options: asked.append(options) or (lambda function: Other()))
    made = exact()(lambda: None)
    assert not asked[0]["lto"], "a linker that compiles again does not know of the option"
    with pytest.raises(VppError, match="does not compile by"):
        made.compile(())
    monkeypatch.delattr(nvvm, "compile_ir")
    with pytest.raises(VppError, match=r'pip install "numba-cuda\[cu12\]==0.30.4"'), exactly():
        pass


def test_the_option_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.cuda.cudadrv import nvvm

    from vpp_env.api.device.exact import exactly

    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(nvvm, "compile_ir", lambda ir, **options: seen.append(options) or b"code")
    with exactly() as codes:
        assert nvvm.compile_ir("ir", opt=3, fma=True) == b"code"
    nvvm.compile_ir("ir", opt=3)
    assert seen == [{"opt": 3, "fma": 0}, {"opt": 3}]
    assert codes == [4]


def test_without_a_gpu_the_error_says_what_to_do() -> None:
    from numba import cuda

    if cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(VppError, match=r'pip install "vpp-env\[cuda\]".*device="cpu" with threads='):
        VectorMarketMonth(2, "quick", device="cuda")


def test_the_benchmark_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    from numba import cuda
    from vpp_benchmarks.speed.gpu import main

    if cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert main([], prog="benchmarks/gpu.py") == 2
    assert capsys.readouterr().err.startswith('error: device="cuda" needs an NVIDIA GPU')


@pytest.mark.slow
def test_the_benchmark_runs_on_the_simulator_and_finds_no_difference() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
    few = ["--months", "2", "--homes", "2", "--distinct", "1", "--hours", "4"]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, str(script), *few], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    gaps = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("largest difference")]
    assert gaps == ["0", "0", "0", "0"]


@pytest.mark.slow
def test_the_host_is_timed_without_a_gpu() -> None:
    script = Path(__file__).with_name("on_host.py")
    done = subprocess.run([sys.executable, str(script), "16", "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count(" ms an opportunity") == 3


def test_devices_and_threads_are_checked() -> None:
    with pytest.raises(VppError, match="unknown device 'gpu'"):
        VectorMarketMonth(2, "quick", device="gpu")
    with pytest.raises(VppError, match=r'threads: got 2 with device="cuda"'):
        VectorMarketMonth(2, "quick", device="cuda", threads=2)


def test_what_may_not_be_handed_in_is_refused_before_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    from vpp_env.api.device import months

    monkeypatch.setattr(months.cuda, "is_available", lambda: True)
    face = VectorMarketMonth(2, "quick", device="cuda")
    with pytest.raises(BidError, match="override: got 1; allowed is one for each of 2 months"):
        face.submit(override=np.ones((1, 5), dtype=np.bool_))
    with pytest.raises(VppError, match=r"call reset\(\) first"):
        face.submit(capacity=[1.0, None])
