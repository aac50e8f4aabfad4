"""The one door for arrays: what users pass becomes a NumPy or a Warp array, or is refused in one sentence.

Taken are NumPy arrays and what NumPy makes one of, Warp arrays (also of ``wp.vec3``, ``wp.quat`` and
``wp.transform``), torch tensors, and whatever speaks DLPack.  torch is known by the name of its module and never
imported here.  A tensor that requires grad is refused: what takes the door does not pass gradients on to torch, and
to drop them silently would be worse.  :mod:`warpprior.torch` holds the functions that do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from warpprior.support.device import warp_device
from warpprior.support.errors import InputError

HOST_DEVICES = (1, 3)  # DLPack's numbers of plain and of pinned host memory
TAKEN = "a NumPy array, a Warp array, a torch tensor or an object with DLPack"


def is_warp(values: Any) -> bool:
    """Is it an array of Warp's?"""
    return type(values).__module__.partition(".")[0] == "warp" and hasattr(values, "numpy")


def is_torch(values: Any) -> bool:
    """Is it a tensor of torch's, or of a class derived from it?"""
    return any(f"{kind.__module__}.{kind.__qualname__}" == "torch.Tensor" for kind in type(values).__mro__)


def to_numpy(values: Any, where: str, *, shape: tuple[int | None, ...] | None = None, finite: bool = False):
    """Numbers on the host, in the type they come in; NumPy arrays themselves, others copied where they lie elsewhere.

    Args:
        values: any array of :data:`TAKEN`, or nested lists of numbers.
        where: names the argument in errors.
        shape: the shape it must have, None for an axis of any length; None for any shape.
        finite: NaN and infinities are refused.

    Raises:
        InputError: not numbers, a tensor that requires grad, another shape, or not finite.
    """
    array = _read(values, where)
    if array.dtype.kind not in "biuf":
        raise InputError(where, f"values of type {array.dtype}", "numbers")
    if shape is not None and (array.ndim != len(shape) or any(w not in (None, n) for w, n in zip(shape, array.shape))):  # noqa: B905
        raise InputError(where, f"shape {array.shape}", f"shape {_wording(shape)}")
    if finite:
        _check_finite(array, where)
    return array


def _check_finite(array: np.ndarray, where: str) -> None:
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{where} at {place}", f"{array[place]}", "finite numbers")


def to_warp(values: Any, where: str, dtype: Any, ndim: int, device: Any, *, shape: tuple | None = None) -> Any:
    """A Warp array of ``dtype`` with ``ndim`` axes on the device.

    Warp arrays on the device and float32 tensors there keep their memory, and Warp arrays their gradients: a plain
    float array (..., 3) is seen as one of ``wp.vec3``.  Everything else is copied.  Values are checked to be finite
    only where they lie on the host: nothing is read back from a device.

    Args:
        values: any array of :data:`TAKEN`.
        where: names the argument in errors.
        dtype: ``float``, ``wp.vec3``, ``wp.quat``, ``wp.transform`` or another type of 32-bit numbers.
        ndim: axes of the result, those inside ``dtype`` not counted.
        device: a Warp device or its name.
        shape: the shape of the result, None for an axis of any length.

    Raises:
        InputError: as for :func:`to_numpy`; or a Warp array of another type, or on another device.
    """
    import warp as wp

    device = warp_device(device)
    inner = tuple(getattr(dtype, "_shape_", ()))
    wanted = (*((None,) * ndim if shape is None else shape), *inner)
    if is_torch(values):
        values = _from_tensor(values, where, device)
    elif not is_warp(values) and hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray):
        if values.__dlpack_device__()[0] not in HOST_DEVICES:
            values = _try(lambda: wp.from_dlpack(values), values, where)
    if not is_warp(values):
        array = to_numpy(values, where, shape=wanted, finite=True)
        array = np.ascontiguousarray(array, dtype=wp.dtype_to_numpy(_scalar(dtype)))
        if array.size == 0:
            return wp.zeros(array.shape[:ndim], dtype=dtype, device=device)
        return wp.array(array, dtype=dtype, shape=array.shape[:ndim], device=device)
    if values.device != device:
        raise InputError(where, f"an array on {values.device}", f"one on {device}, as the others")
    found = (*values.shape, *getattr(values.dtype, "_shape_", ()))
    if _scalar(values.dtype) != _scalar(dtype):
        raise InputError(where, f"a Warp array of {values.dtype.__name__}", f"one of {dtype.__name__}")
    if len(found) != len(wanted) or any(w not in (None, n) for w, n in zip(wanted, found, strict=True)):
        raise InputError(where, f"shape {found}", f"shape {_wording(wanted)}")
    if device.is_cpu and values.size:
        _check_finite(_read(values, where), where)
    return values if values.dtype == dtype and values.ndim == ndim else _seen_as(values, where, dtype, found[:ndim])


def take(owner: Any, name: str, where: str, dtype: type | None = None, *, arrays_only: bool = False) -> None:
    """Have a field of a frozen dataclass hold NumPy arrays: one that is already is kept, others become copies.

    Args:
        owner: the dataclass.
        name: of the field: an array, a mapping of arrays, or None.
        where: names the field in errors.
        dtype: of the copies; None for the type they come in.
        arrays_only: what is no array of any library is left as it is, to whoever checks it.

    Raises:
        InputError: as for :func:`to_numpy`.
    """
    values = getattr(owner, name)
    if values is None or isinstance(values, np.ndarray):
        return

    def copied(value: object, place: str) -> object:
        kept = value is None or isinstance(value, np.ndarray) or (arrays_only and not _is_array(value))
        return value if kept else np.array(to_numpy(value, place), dtype=dtype)

    if not isinstance(values, Mapping):
        object.__setattr__(owner, name, copied(values, where))
    elif not all(isinstance(value, np.ndarray) for value in values.values()):
        copies = {key: copied(value, f"{where} of {key!r}") for key, value in values.items()}
        object.__setattr__(owner, name, copies)


def device_of(*values: Any, device: Any = None) -> Any:
    """The Warp device to work on: the one asked for, else that of the first Warp array or tensor, else the CPU."""
    import warp as wp

    if device is not None:
        return warp_device(device)
    for value in values:
        if is_warp(value):
            return value.device
        if is_torch(value):
            return wp.device_from_torch(value.device)
    return warp_device("cpu")


def _is_array(values: Any) -> bool:
    return isinstance(values, np.ndarray) or is_warp(values) or is_torch(values) or hasattr(values, "__dlpack__")


def _read(values: Any, where: str) -> np.ndarray:
    """NumPy's view of what was given, or a copy of it."""
    if isinstance(values, np.ndarray):
        return values
    if is_warp(values):
        return values.numpy()
    if is_torch(values):
        _refuse_gradient(values, where)
        return _try(lambda: values.detach().cpu().numpy(), values, where)
    if hasattr(values, "__dlpack__"):
        if values.__dlpack_device__()[0] in HOST_DEVICES:
            return _try(lambda: np.from_dlpack(values), values, where)
        import warp as wp

        other: Any = _try(lambda: wp.from_dlpack(values), values, where)
        return other.numpy()
    return _try(lambda: np.asarray(values), values, where)


def _try(read, values: Any, where: str):
    """Call ``read()``; what a library makes of values that it cannot take becomes one sentence."""
    try:
        return read()
    except (TypeError, ValueError, RuntimeError, BufferError, AttributeError) as error:
        kind = f"{type(values).__module__.partition('.')[0]}.{type(values).__name__}"
        raise InputError(where, f"a {kind} that cannot be read ({error})", TAKEN) from error


def _refuse_gradient(tensor: Any, where: str) -> None:
    if tensor.requires_grad:
        accepted = "tensor.detach(), for no gradient is passed on here; the functions of warpprior.torch do that"
        raise InputError(where, "a tensor that requires grad", accepted)


def _from_tensor(tensor: Any, where: str, device: Any) -> Any:
    """A float32 tensor on the device as a Warp array of the same memory; NumPy's copy of any other on the host."""
    import warp as wp

    _refuse_gradient(tensor, where)
    if wp.device_from_torch(tensor.device) != device:
        raise InputError(where, f"a tensor on {tensor.device}", f"one on {device}, as the others")
    if str(tensor.dtype) != "torch.float32" and device.is_cpu:
        return _read(tensor, where)
    return _try(lambda: wp.from_torch(tensor.detach().float().contiguous()), tensor, where)


def _seen_as(values: Any, where: str, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The same memory, and that of its gradient, as an array of ``dtype`` with this shape."""
    import warp as wp

    if not values.is_contiguous:
        raise InputError(where, "a Warp array that is not contiguous", f"a contiguous one, or one of {dtype.__name__}")

    def seen(array, grad):
        view = wp.array(ptr=array.ptr, dtype=dtype, shape=shape, device=array.device, grad=grad, requires_grad=False)
        view._ref = array  # keeps the memory alive
        return view

    grad = None if values.grad is None else seen(values.grad, None)
    view = seen(values, grad)
    view.requires_grad = values.requires_grad
    return view


def _scalar(dtype: Any) -> Any:
    """Warp's type of the numbers in a vector, a matrix or a number."""
    import warp as wp

    return getattr(dtype, "_wp_scalar_type_", {float: wp.float32, int: wp.int32}.get(dtype, dtype))


def _wording(shape: tuple[int | None, ...]) -> str:
    """``(4, any, 3)``."""
    return f"({', '.join('any' if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"
