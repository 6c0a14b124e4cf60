"""Mutated scenario files: each is a scenario, or one line that says what is wrong.

python -m tests.fuzz_scenarios 900 [first seed]
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np
import tomli_w

from vpp_env.errors import VppError
from vpp_env.scenario import load_scenario

VALUES = (
    '"x"', "1", "-1", "1e308", "nan", "inf", "-inf", "[]", "[[]]", "[[1,2],[3]]", "{}", "{a=1}", "true", "2023-08-01",
    "2023-08-01T00:00:00Z", '"\\u0000"', "9" * 23, "9" * 5000, "[[[[1]]]]", '["a","b"]', "[nan,nan]", '[1,"a"]', "0",
    "[5]", "[true,false]", '[[0.1,0.2],[0.3,0.4],["x",1]]', '""', "[1e308, 1e308]", "07:00:00",
    "[[1,2,3],[1,2,3],[1,2,3]]", "[[1],[2],[3],[4],[5],[6],[7]]", "[[1,2],[]]",
    "[[[1,2],[3,4]],[[1,2],[3,4]],[1,2]]", '"' + "a" * 5000 + '"',
)  # fmt: skip


def mutated(rng: np.random.Generator) -> bytes:
    """A scenario file of which something was changed."""
    data = load_scenario("august").to_dict()
    text = tomli_w.dumps(data).encode()
    kind = int(rng.integers(6))
    if kind <= 2:
        sections = [name for name in data if isinstance(data[name], dict)]
        section = sections[int(rng.integers(len(sections)))]
        key = list(data[section])[int(rng.integers(len(data[section])))]
        del data[section][key]
        value = VALUES[int(rng.integers(len(VALUES)))]
        return tomli_w.dumps(data).replace(f"[{section}]\n", f"[{section}]\n{key} = {value}\n", 1).encode()
    if kind == 3:
        made = bytearray(text)
        for _ in range(int(rng.integers(1, 6))):
            made[int(rng.integers(len(made)))] = int(rng.integers(256))
        return bytes(made)
    if kind == 4:
        at = int(rng.integers(len(text)))
        return text[:at] + bytes(rng.integers(256, size=int(rng.integers(1, 20)), dtype=np.uint8)) + text[at:]
    n = int(rng.integers(100, 100_000))
    whole = [
        b"a = " + b"[" * n + b"]" * n,
        b"[a" + b".b" * n + b"]\n",
        b"x=" + b"{y=" * n + b"1" + b"}" * n,
        b"\xff\xfe" + text,
        b"\x00" * n,
        b"",
        text + b"\n[extra]\nx=1\n",
        b"fleet = 3\n",
        b"name = 7\n",
        b"[[fleet]]\nsize=3\n",
    ]
    return whole[int(rng.integers(len(whole)))]


def run(n: int, first: int = 0) -> tuple[Counter[str], list[str]]:
    """Try n mutations; return how they ended, and the faults."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        file = Path(base) / "mutated.toml"
        for seed in range(first, first + n):
            file.write_bytes(mutated(np.random.default_rng(seed)))
            try:
                made = load_scenario(file)
                assert made.calendar.n_days >= 1
                ends["scenario"] += 1
            except VppError as error:
                told = str(error)
                if "\n" in told or len(told) > 1500:
                    faults.append(f"seed {seed}: not one line: {told[:200]!r}")
                ends["error"] += 1
            except BaseException:  # noqa: BLE001  whatever it is, it is the finding
                faults.append(f"seed {seed}: {traceback.format_exc()}")
                ends["fault"] += 1
    return ends, faults


if __name__ == "__main__":
    found, wrong = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print("\n".join(wrong))
    print(dict(found))
