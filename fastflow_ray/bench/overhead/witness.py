"""Looks on while tensors are made and read: how much memory is held, and how often the device would be waited for."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

READS = {"item", "__float__", "__int__", "__bool__", "__index__", "tolist", "cpu", "nonzero"}


class MemoryWitness(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Knows every tensor made while it looks on, and so how many bytes are alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._made: Any = WeakIdKeyDictionary()
        self.peak = 0  # bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._made[tensor] = None
        self.peak = max(self.peak, self.alive)
        return made

    @property
    def alive(self) -> int:
        """Bytes held now; views share theirs."""
        storages = {each.data_ptr(): each.nbytes() for each in (tensor.untyped_storage() for tensor in self._made)}
        return sum(storages.values())


class WaitWitness(TorchFunctionMode):
    """Counts what on a GPU would wait for it: numbers read from a tensor, and tensors made there from Python numbers.

    A number read from a tensor that lives on the host anyway counts as well: the count is never too low for that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        uploads = name in ("tensor", "as_tensor") and (kwargs or {}).get("device") is not None
        self.waits += name in READS or uploads
        return func(*args, **(kwargs or {}))
