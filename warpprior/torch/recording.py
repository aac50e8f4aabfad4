"""Any function of Warp arrays as one of torch tensors: recorded on a tape of its own, which the backward pass plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from typing import Any

from warpprior.support.arrays import is_torch
from warpprior.support.errors import InputError, MissingExtraError
from warpprior.support.tape import current_tape

_RECORDING = Lock()  # Warp has one tape at a time for the whole process


@cache
def load_torch() -> Any:
    """The torch package.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("warpprior.torch", "torch") from error
    return torch


def record(function: Callable[..., Sequence[Any]], *values: Any) -> tuple[Any, ...]:
    """``function(*values)`` with tensors as Warp arrays, and the Warp arrays that it returns as tensors.

    Args:
        function: takes the values in their order, and returns a tuple of Warp arrays.  What it launches is recorded.
        values: tensors, and whatever else the function takes; the latter is passed on.

    Raises:
        InputError: tensors on different devices or not of real numbers; a Warp tape is recording; or what ``function``
            refuses.
        MissingExtraError: torch is not installed.
    """
    torch = load_torch()
    places = [index for index, value in enumerate(values) if is_torch(value)]
    tensors = [values[index] for index in places]
    for tensor in tensors:
        if tensor.device != tensors[0].device:
            raise InputError("tensors", f"on {tensors[0].device} and {tensor.device}", "all on one device")
        if not tensor.is_floating_point() or tensor.layout != torch.strided:
            raise InputError("tensors", f"{tensor.layout} of {tensor.dtype}", "dense tensors of real numbers")

    def run(arrays: Sequence[Any]) -> Sequence[Any]:
        given = list(values)
        for place, array in zip(places, arrays, strict=True):
            given[place] = array
        return function(*given)

    return _recorded_function().apply(run, *tensors)


def as_array(tensor: Any, requires_grad: bool = False) -> Any:
    """A Warp array of a tensor, sharing its memory if that is contiguous float32, with a gradient of its own."""
    import warp as wp

    torch = load_torch()
    return wp.from_torch(tensor.detach().to(torch.float32).contiguous(), requires_grad=requires_grad)


@cache
def _recorded_function() -> type:
    """The autograd function; made when first used, for its base class is torch's."""
    import warp as wp

    torch = load_torch()

    class Recorded(torch.autograd.Function):
        """One call, its tape, and the way back."""

        @staticmethod
        def forward(ctx: Any, run: Callable[..., Sequence[Any]], *tensors: Any) -> tuple[Any, ...]:
            needed = ctx.needs_input_grad[1:]
            arrays = [as_array(tensor, need) for tensor, need in zip(tensors, needed, strict=True)]
            ctx.tape = wp.Tape()
            with _RECORDING:
                if current_tape() is not None:
                    accepted = "warpprior.geometry and warpprior.render, which record on it"
                    raise InputError("warpprior.torch", "called while a Warp tape is recording", accepted)
                with _stream(tensors), ctx.tape:
                    outputs = run(arrays)
            ctx.arrays, ctx.outputs = arrays, outputs
            # Only so that torch notices when an input is changed between here and the backward pass.
            ctx.save_for_backward(*tensors)
            results = tuple(wp.to_torch(output, requires_grad=False) for output in outputs)
            fixed = [t for t, output in zip(results, outputs, strict=True) if not output.requires_grad]
            ctx.mark_non_differentiable(*fixed)
            return results

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
            tensors = ctx.saved_tensors
            seeds = {
                output: wp.from_torch(gradient.detach().to(torch.float32).contiguous(), dtype=output.dtype)
                for output, gradient in zip(ctx.outputs, gradients, strict=True)
                if output.requires_grad and gradient is not None
            }
            with _stream(tensors):
                ctx.tape.backward(grads=seeds)
                found = [
                    wp.to_torch(array.grad).clone().to(tensor.dtype).reshape(tensor.shape) if needed else None
                    for array, tensor, needed in zip(ctx.arrays, tensors, ctx.needs_input_grad[1:], strict=True)
                ]
                ctx.tape.zero()
            return None, *found

    return Recorded


def _stream(tensors: Sequence[Any]) -> Any:
    """Warp on torch's current stream of the tensors' device; nothing of the kind on the CPU."""
    from contextlib import nullcontext

    import warp as wp

    torch = load_torch()
    device = next((tensor.device for tensor in tensors if tensor.is_cuda), None)
    if device is None:
        return nullcontext()
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(device)))
