"""Every key this product writes to Redis, with its type and its end. Knows no commands.

`ff:{<queue>}:<suffix>`; the braces keep one queue in one cluster slot. "kept" keys are bounded by the queue's limits,
not by time: job ids leave them when their job's record expires. Only the statistics grow: `statistics` with every
new policy key, `sequences` by some 40 bytes with every worker that starts.

    suffix       type    ends              content
    queued       zset    kept              id → place: (255 - priority)·2^40 + the tenant's turn
    delayed      zset    kept              id → due, ms
    running      zset    kept              id → lease deadline, ms
    succeeded    zset    kept              id → end of its record, ms
    dead         zset    kept              id → end of its record, ms
    cancelled    zset    kept              id → end of its record, ms
    index        zset    kept              id → number of its submission, for listing
    ready_since  zset    kept              queued id → since when, ms
    turns        hash    with the backlog  <priority>:<tenant> → turn of the tenant's latest job
    stat         hash    kept              fence, seq (submissions ever), submitted (on the books), turn:<priority>,
                                           longest_lease
    wake         list    kept, ≤ 64        tokens for BLPOP; a lost one costs a poll, never a job
    ev           stream  kept, ~10,000     every transition: job, state, attempt, worker
    j:<id>       hash    result TTL        one job; without end until the job has ended
    statistics   hash    kept              statistics store: policy key → what was learnt under it, as JSON
    sequences    hash    kept              statistics store: worker → last sequence merged
"""

from __future__ import annotations

from dataclasses import dataclass

from fastflow_ray.jobs.states import JobState

# In the order of KEYS in every script, where each becomes a local of this name. One sorted set per state: an id stands
# in exactly one of them, and the sum of their sizes is the number of jobs on the books.
SHARED_KEYS: dict[str, str] = {
    **{state.value: "zset" for state in JobState},
    "index": "zset",
    "ready_since": "zset",
    "turns": "hash",
    "stat": "hash",
    "wake": "list",
    "ev": "stream",
}
STATISTICS_KEYS: dict[str, str] = {"statistics": "hash", "sequences": "hash"}
JOB_PREFIX = "j:"  # + id: hash


@dataclass(frozen=True)
class QueueKeys:
    """The names of one queue's keys."""

    queue: str

    def key(self, suffix: str) -> str:
        """The full name of a key."""
        return f"ff:{{{self.queue}}}:{suffix}"

    def job(self, job_id: str) -> str:
        """The record of one job."""
        return self.key(JOB_PREFIX + job_id)

    def for_scripts(self) -> list[str]:
        """KEYS of every script: the shared ones, then the prefix of the job records."""
        return [*map(self.key, SHARED_KEYS), self.key(JOB_PREFIX)]
