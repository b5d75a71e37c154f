"""The gate on a transformer: on a skipped step the network does not run. Knows no sigma and no decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks.hooks import BaseState, StateManager
from torch.nn import Module

from fastflow_ray.errors import AccelerationUnavailable

NAME = "fastflow_gate"


class BranchOutput(BaseState):  # type: ignore[misc]  # diffusers has no types
    """What the network last answered in one `cache_context`, such as "cond" or "uncond"."""

    def __init__(self) -> None:
        self.output: Any = None

    def reset(self) -> None:
        """Forget it."""
        self.output = None


class Gate(ModelHook):  # type: ignore[misc]  # diffusers has no types
    """Answers a call on a skipped step with the branch's last output, as it is: the right shape, no new memory.

    The scheduler ignores the value. A branch first called on a skipped step has no last output, so its network runs.
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
        self._branches = StateManager(BranchOutput)

    def install(self) -> None:
        """Put the gate before the module's forward."""
        self._registry.register_hook(self, NAME)
        self._forward = self._module.forward

    def remove(self) -> None:
        """Take it away; the module is called as before."""
        self._registry.remove_hook(NAME, recurse=False)

    def begin(self) -> None:
        """A new trajectory begins: nothing was evaluated yet."""
        # Offloading restores, after each pipeline call, the forward it saw when it was enabled.
        if self._forward not in (self._module.forward, getattr(self._module, "_old_forward", None)):
            self.remove()
            self.install()
        self.nfe = 0
        self._branches.reset()

    def new_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
        """The forward the module has while the gate is installed."""
        branch = self._branch(module)
        if branch.output is None or not self._skips():
            branch.output = self.fn_ref.original_forward(*args, **kwargs)
            self.nfe += 1
        return branch.output

    def reset_state(self, module: Module) -> Module:
        """Let go of the outputs; diffusers calls it when a pipeline call ends."""
        self._branches.reset()
        return module

    @property
    def _registry(self) -> HookRegistry:
        return HookRegistry.check_if_exists_or_initialize(self._module)

    def _branch(self, module: Module) -> BranchOutput:
        try:
            branch: BranchOutput = self._branches.get_state()
        except ValueError:
            raise AccelerationUnavailable(
                f"the pipeline calls {type(module).__name__} outside of cache_context; run it without acceleration"
            ) from None
        return branch
