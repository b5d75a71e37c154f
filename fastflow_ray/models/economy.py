"""A pipeline on less memory: each part on the device only while it runs, and the video decoded in tiles.

Slower. The latents stay the same bit for bit; the frames do not, for the decoder sees no further than its tile.
"""

from __future__ import annotations

from typing import Any

import torch

from fastflow_ray.models.device import free_memory

OFFLOAD, TILING = "offload", "tiling"


class Economy:
    """Puts one pipeline on less memory, and back. Call it between generations, before gates are attached."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._home = torch.device(pipe._execution_device)
        self._in_force: bool | None = False  # None: a change failed midway

    def set(self, frugal: bool) -> None:
        """What holds from now on; raises torch.OutOfMemoryError if there is no room to return to."""
        if self._in_force is not frugal:
            self._in_force = None
            self._enter() if frugal else self._leave()
            self._in_force = frugal

    @property
    def measures(self) -> tuple[str, ...]:
        """What is done to save memory: "offload", unless there is no device to leave, and "tiling"."""
        able = {OFFLOAD: self._can_offload, TILING: hasattr(self._pipe.vae, "use_tiling")}
        return tuple(measure for measure, possible in able.items() if possible) if self._in_force else ()

    @property
    def _can_offload(self) -> bool:
        return self._home.type != "cpu"

    def _enter(self) -> None:
        if hasattr(self._pipe.vae, "use_tiling"):
            self._pipe.vae.enable_tiling()
            self._pipe.vae.enable_slicing()
        if self._can_offload:
            self._pipe.enable_model_cpu_offload(device=self._home)

    def _leave(self) -> None:
        if hasattr(self._pipe.vae, "use_tiling"):
            self._pipe.vae.disable_tiling()
            self._pipe.vae.disable_slicing()
        if self._can_offload:
            self._pipe.remove_all_hooks()
            free_memory(self._home)
            self._pipe.to(self._home)
