"""The choice among arms: optimism in the face of uncertainty. Knows values and counts, not what an arm does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pull(values: NDArray[np.float64], pulls: NDArray[np.int64], gamma: float) -> int:
    """The index of the arm to pull: argmax Q(m) + gamma·sqrt(ln n / N(m)), every arm once first.

    There is no chance in it: arms never pulled come in their order, and of equal bounds the first wins.

    Args:
        values: Q per arm, shape (arms,); not read where `pulls` is 0.
        pulls: N per arm, shape (arms,); n is their sum.
        gamma: weight of exploration, in units of the reward.

    Source: UCB1 (Auer et al. 2002) as used by FastFlow, arXiv 2602.11105.
    """
    never_pulled = np.flatnonzero(pulls == 0)
    if never_pulled.size:
        return int(never_pulled[0])
    bounds = values + gamma * np.sqrt(np.log(pulls.sum()) / pulls)
    return int(np.argmax(bounds))
