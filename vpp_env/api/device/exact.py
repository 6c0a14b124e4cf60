"""Kernels for a card whose products and sums are rounded one by one, as the CPU rounds them.

A card's compiler makes one rounding of a product and the sum that it goes into. numba-cuda has no option against that.
The compiler below it, NVIDIA's libnvvm, has one (`-fma=0`): it gets it while a kernel of ours is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba import cuda as numba_cuda

from vpp_env.errors import VppError

cuda: Any = numba_cuda


def exact(max_registers: int | None = None) -> Callable[[Callable[..., None]], Any]:
    """Return a decorator that does what `cuda.jit` does, products and sums rounded one by one.

    Numba's simulator rounds so anyway. `max_registers` limits what a thread takes of a card's registers, so that more
    threads run side by side.
    """

    def decorated(function: Callable[..., None]) -> Any:
        config: Any = numba.config
        if config.ENABLE_CUDASIM:
            return cuda.jit(function)
        made = cuda.jit(max_registers=max_registers)(function)
        compile_it = made.compile

        def compile_exactly(signature: Any) -> Any:
            known = len(made.overloads)
            with exactly() as codes:
                found = compile_it(signature)
            if len(made.overloads) > known and not codes:
                raise VppError(_otherwise())
            return found

        made.compile = compile_exactly
        return made

    return decorated


@contextmanager
def exactly() -> Iterator[list[int]]:
    """Have no product fused with a sum in what is compiled for a card meanwhile; other threads wait.

    Gives a list, which holds the length of each piece of code that was compiled so.

    Raises
    ------
    VppError
        When numba-cuda does not compile the way that is known here.
    """
    from numba.cuda import dispatcher  # the simulator has no compiler
    from numba.cuda.cudadrv import nvvm as found

    nvvm: Any = found

    with dispatcher.global_compiler_lock:  # everything is compiled under it, also what is not ours
        compile_ir: Any = getattr(nvvm, "compile_ir", None)
        codes: list[int] = []
        if compile_ir is None:
            raise VppError(_otherwise())

        def unfused(ir: Any, **given: Any) -> Any:
            code = compile_ir(ir, **(given | {"fma": 0}))
            codes.append(len(code))
            return code

        nvvm.compile_ir = unfused
        try:
            yield codes
        finally:
            nvvm.compile_ir = compile_ir


def _otherwise() -> str:
    return (
        "this version of numba-cuda does not compile by numba.cuda.cudadrv.nvvm.compile_ir, so that products and sums "
        'would not be rounded as on the CPU; 0.30.4 does: pip install "numba-cuda[cu12]==0.30.4"'
    )
