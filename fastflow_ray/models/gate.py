"""The gate on a transformer: on a skipped step the network does not run. Knows no sigma and no decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.hooks import BaseState, StateManager
from torch.nn import Module
from torch.utils._pytree import tree_map  # diffusers registers its outputs there

from fastflow_ray.errors import AccelerationUnavailable

NAME = "fastflow_gate"


class BranchShape(BaseState):  # type: ignore[misc]  # diffusers has no types
    """What the network answers in one `cache_context`, such as "cond" or "uncond", less the values."""

    def __init__(self) -> None:
        self.blank: Callable[[], Any] | None = None  # makes another, of zeros; None before the first answer

    def reset(self) -> None:
        """Forget it."""
        self.blank = None


class Gate(ModelHook):  # type: ignore[misc]  # diffusers has no types
    """Answers a call on a skipped step with zeros in the shape of the branch's last output, which it does not keep.

    The scheduler ignores the value. A branch first called on a skipped step has no shape yet, so its network runs,
    unless the shape is known from a trajectory that was interrupted.
    """

    _is_stateful = True

    def __init__(self, module: Module, skips: Callable[[], bool]) -> None:
        """`skips` says whether the present step does without the network."""
        if not hasattr(module, "cache_context"):
            raise AccelerationUnavailable(
                f"{type(module).__name__} has no cache_context, so its calls cannot be told apart;"
                " run it without acceleration, or use a pipeline of a newer diffusers"
            )
        super().__init__()
        self.nfe = 0  # real calls since `begin`
        self._module = module
        self._skips = skips
        self._branches = StateManager(BranchShape)
        self._lent: Callable[[], Any] | None = None  # an answer for branches that have not answered yet

    def install(self) -> None:
        """Put the gate before the module's forward."""
        self._registry.register_hook(self, NAME)
        self._forward = self._module.forward

    def remove(self) -> None:
        """Take it away; the module is called as before."""
        self._registry.remove_hook(NAME, recurse=False)

    def begin(self, like: torch.Tensor | None = None) -> None:
        """A new trajectory begins: nothing was evaluated yet. Or one goes on of which it is known that the network's
        velocities are `like` this."""
        # Offloading restores, after each pipeline call, the forward it saw when it was enabled.
        if self._forward not in (self._module.forward, getattr(self._module, "_old_forward", None)):
            self.remove()
            self.install()
        self.nfe = 0
        self._lent = None if like is None else _blank((like,))
        self._branches.reset()

    def new_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        """The forward the module has while the gate is installed."""
        branch = self._branch(module)
        lent = self._lent if kwargs.get("return_dict") is False else None  # the answer is a tuple then
        if (blank := branch.blank or lent) is not None and self._skips():
            return blank()
        output = self.fn_ref.original_forward(*args, **kwargs)
        self.nfe += 1
        branch.blank = _blank(output)
        return output

    def reset_state(self, module: Module) -> Module:
        """Forget the shapes; diffusers calls it when a pipeline call ends."""
        self._branches.reset()
        return module

    @property
    def _registry(self) -> HookRegistry:
        return HookRegistry.check_if_exists_or_initialize(self._module)

    def _branch(self, module: Module) -> BranchShape:
        try:
            branch: BranchShape = self._branches.get_state()
        except ValueError:
            raise AccelerationUnavailable(
                f"the pipeline calls {type(module).__name__} outside of cache_context; run it without acceleration"
            ) from None
        return branch


def _blank(output: Any) -> Callable[[], Any]:
    """Makes outputs of the same kind, shapes, dtypes and devices, and keeps none."""
    shapes = tree_map(lambda leaf: _Shape(leaf) if isinstance(leaf, torch.Tensor) else leaf, output)
    return lambda: tree_map(lambda leaf: leaf.zeros() if isinstance(leaf, _Shape) else leaf, shapes)


class _Shape:
    """All of a tensor but its values."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._shape, self._dtype, self._device = tensor.shape, tensor.dtype, tensor.device

    def zeros(self) -> torch.Tensor:
        return torch.zeros(self._shape, dtype=self._dtype, device=self._device)
