"""Which part of a fleet's work one worker does, as it can tell by itself: from its own reports, and what all know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Contribution:
    """What one worker has contributed to its fleet's knowledge of a key, since it first met the key."""

    fleet_runs_before: int  # generations of the key that the fleet knew of then
    own_runs: int = 0  # those that this worker has finished and reported since

    def fleet_share(self, fleet_runs: int, under_way: int = 0) -> float:
        """This worker's part, 0 to 1, of the fleet's work: of n workers that do as much as each other, 1/n.

        Before it has finished a generation, it cannot tell how many others there are. Then it takes itself for the only
        one where nobody has finished any, and else leaves the work to the others.

        Args:
            fleet_runs: generations that the fleet knows of now; and those of this worker's that are `under_way`.
            under_way: generations that this worker has finished and not yet reported.
        """
        own = self.own_runs + under_way
        return own / max(fleet_runs - self.fleet_runs_before, own) if own else float(fleet_runs == 0)
