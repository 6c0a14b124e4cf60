"""Kernels for a card whose products and sums are rounded one by one, as the CPU rounds them.

A card's compiler makes one rounding of a product and the sum that it goes into. numba-cuda has no option against that.
The compiler below it, NVIDIA's libnvvm, has one (`-fma=0`): it gets it while a kernel of ours is compiled. Meanwhile an
index is taken to count from the start, which none of ours does otherwise: to ask of each is an eighth of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

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
        # a linker that optimises compiles again, and fuses what was not to be fused
        made = cuda.jit(max_registers=max_registers, lto=False)(function)
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
    from numba.cuda import types as kinds
    from numba.cuda.cudadrv import nvvm as found

    try:
        from numba.cuda.np import arrayobj as indexing
    except ImportError:  # Numba's own CUDA, which numba-cuda takes the place of
        from numba.np import arrayobj as indexing

    nvvm, arrays, types = cast(Any, found), cast(Any, indexing), cast(Any, kinds)

    with dispatcher.global_compiler_lock:  # everything is compiled under it, also what is not ours
        compile_ir: Any = getattr(nvvm, "compile_ir", None)
        codes: list[int] = []
        look_at_index: Any = getattr(arrays, "fix_integer_index", None)
        if compile_ir is None or look_at_index is None:
            raise VppError(_otherwise())

        def unfused(ir: Any, **given: Any) -> Any:
            code = compile_ir(ir, **(given | {"fma": 0}))
            codes.append(len(code))
            return code

        def from_start(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
            return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)

        nvvm.compile_ir, arrays.fix_integer_index = unfused, from_start
        try:
            yield codes
        finally:
            nvvm.compile_ir, arrays.fix_integer_index = compile_ir, look_at_index


def _otherwise() -> str:
    return (
        "this version of numba-cuda does not compile by nvvm.compile_ir and arrayobj.fix_integer_index, so that "
        "products and sums would not be rounded as on the CPU; 0.30.4 does: pip install "
        '"numba-cuda[cu12]==0.30.4"'
    )
