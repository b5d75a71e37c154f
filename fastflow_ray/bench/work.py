"""Counting the work a network really did, whatever hooks stand in its way.

Work is counted at the linear layers inside the transformer's blocks, for no cache stands between them and the
processor: a step skipped, a block skipped, an attention reused all show as layers that did not run. Each layer weighs
what its multiplications, and those of the attention it belongs to, are of a whole pass. What runs outside of the
blocks (embeddings, the last projection) is not counted, to the advantage of caches that run it on every step; the wall
time has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from torch.nn import Linear, Module, ModuleList
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

STACKS = ("blocks", "transformer_blocks", "single_transformer_blocks", "layers")


class WorkMeter:
    """Counts passes through the blocks of one transformer, in fractions of a whole pass."""

    def __init__(self, transformer: Module, run: Callable[[], object]) -> None:
        """`run` runs the transformer some times, nothing standing in its way."""
        self._layers = _layers(transformer)
        self._weights = _weights(transformer, self._layers, run)
        self._calls: Counter[str] = Counter()

    @property
    def passes(self) -> float:
        """Since the last `counting` began."""
        return round(sum(self._weights[name] * calls for name, calls in self._calls.items()), 6)

    @contextmanager
    def counting(self) -> Iterator[WorkMeter]:
        """Count what runs inside the `with`."""
        self._calls.clear()
        with ExitStack() as leaving:
            for name, layer in self._layers.items():
                leaving.enter_context(layer.register_forward_hook(self._counter(name)))
            yield self

    def _counter(self, name: str) -> Callable[[Module, Any, Any], None]:
        def count(module: Module, inputs: Any, output: Any) -> None:
            self._calls[name] += 1

        return count


def stacks(transformer: Module) -> dict[str, ModuleList]:
    """The transformer's stacks of blocks by name."""
    children = transformer.named_children()
    return {name: child for name, child in children if name in STACKS and isinstance(child, ModuleList)}


def _layers(transformer: Module) -> dict[str, Linear]:
    """The linear layers inside the blocks by their full names."""
    return {
        f"{stack}.{name}": layer
        for stack, blocks in stacks(transformer).items()
        for name, layer in blocks.named_modules()
        if isinstance(layer, Linear)
    }


def _weights(transformer: Module, layers: Mapping[str, Linear], run: Callable[[], object]) -> dict[str, float]:
    """Each layer's share of the multiplications of a pass through the blocks; they sum to 1."""
    # Only in its plain form is attention on a CPU made of multiplications that the counter knows.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        run()
    prefix = f"{type(transformer).__name__}."
    counts = {
        name.removeprefix(prefix): sum(count.values())
        for name, count in counter.get_flop_counts().items()
        if name.startswith(prefix)
    }
    flops = {name: float(counts.get(name, 0)) for name in layers}
    for name, own in _own_flops(counts).items():
        first = next((layer for layer in layers if layer.startswith(f"{name}.")), None)
        if first is not None and name not in layers:
            flops[first] += own
    total = sum(flops.values())
    return {name: count / total for name, count in flops.items()}


def _own_flops(counts: Mapping[str, int]) -> dict[str, int]:
    """What a module multiplies itself, its children apart: an attention's products of queries, keys and values."""
    own = dict(counts)
    for name, count in counts.items():
        parent = max((other for other in counts if name.startswith(f"{other}.")), key=len, default=None)
        if parent is not None:
            own[parent] -= count
    return own
