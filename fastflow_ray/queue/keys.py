"""Every key this product writes to Redis, with its type and its end. Knows no commands.

`ff:{<queue>}:<suffix>`; the braces keep one queue in one cluster slot. "kept" keys are bounded by the queue's limits,
not by time: job ids leave them when their job's record expires, tenants when nothing of theirs waits or works. Only
what an operator sets and the statistics grow: `cfg` with every tenant named, `statistics` with every new policy key.

    suffix       type    ends              content
    queued       zset    kept              id → since when it is ready, ms
    delayed      zset    kept              id → due, ms
    running      zset    kept              id → lease deadline, ms
    succeeded    zset    kept              id → end of its record, ms
    dead         zset    kept              id → end of its record, ms
    cancelled    zset    kept              id → end of its record, ms
    index        zset    kept              id → number of its submission, for listing
    deadlines    zset    kept              waiting id with a deadline → that, ms
    looks        zset    kept              queued id that is only to be looked for → since when it is ready, ms
    seats        hash    kept              id → <lane>:<tenant>
    waiting      hash    kept              tenant → its jobs queued or delayed
    working      hash    kept              tenant → its jobs running
    capped       set     kept              tenants with ready jobs that may not run one more
    stat         hash    kept              fence; seq; clock:<lane>; attempt_ms; longest_lease; and ever: submitted,
                                           forgotten, expired, struck, bygone
    workers      zset    kept              worker → end of its card, ms
    latest       hash    kept              worker → the job it claimed last, while that runs
    cfg          hash    kept              paused: why; weight:, max_running:, max_queued: + tenant, or * for the others
    wake         list    kept, ≤ 64        tokens for BLPOP; a lost one costs a poll, never a job
    ev           stream  kept, ~10,000     every transition: job, state, attempt, worker
    j:<id>       hash    result TTL        one job; without end until the job has ended
    r:<lane>:<tenant>
                 zset    kept              queued id that may be made → place: (255 - priority)·2^40 + seq
    l:<lane>     zset    kept              tenants with ready jobs, below their cap → virtual time
    v:<lane>     zset    kept, ≤ 10,000    other tenants whose virtual time is ahead of the lane's clock → that time
    w:<worker>   hash    one lease         a worker's card: gpu, state, job, publishing, why, beats
    i:<digest of tenant and idempotency key>
                 string  30 s              the model that the key is held for while its job is stored
    statistics   hash    kept              statistics store: policy key → what was learnt under it, as JSON
    sequences    hash    kept, ≤ 10,000    statistics store: worker → last sequence merged
    reporters    zset    kept, ≤ 10,000    statistics store: worker → revision of its last report
    revision     string  kept              statistics store: the latest; rises with every save, never reissued
"""

from __future__ import annotations

from dataclasses import dataclass

from fastflow_ray.jobs.states import JobState

# In the order of KEYS in every script, where each becomes a local of this name. One sorted set per state: an id stands
# in exactly one of them, and the sum of their sizes is the number of jobs on the books.
SHARED_KEYS: dict[str, str] = {
    **{state.value: "zset" for state in JobState},
    "index": "zset",
    "deadlines": "zset",
    "looks": "zset",
    "seats": "hash",
    "waiting": "hash",
    "working": "hash",
    "capped": "set",
    "stat": "hash",
    "workers": "zset",
    "latest": "hash",
    "cfg": "hash",
    "wake": "list",
    "ev": "stream",
}
# The beginnings of keys that there are many of, as the scripts name them, behind SHARED_KEYS in KEYS. What follows a
# beginning comes after the braces, and so cannot move a key to another slot.
PREFIXES: dict[str, str] = {"jobs": "j:", "ready": "r:", "turns": "l:", "debts": "v:", "cards": "w:", "holds": "i:"}
PREFIXED_TYPES: dict[str, str] = {
    "jobs": "hash",
    "ready": "zset",
    "turns": "zset",
    "debts": "zset",
    "cards": "hash",
    "holds": "string",
}
# In the order of KEYS in the statistics' scripts.
STATISTICS_KEYS: dict[str, str] = {"statistics": "hash", "sequences": "hash", "reporters": "zset", "revision": "string"}


@dataclass(frozen=True)
class QueueKeys:
    """The names of one queue's keys."""

    queue: str

    def key(self, suffix: str) -> str:
        """The full name of a key."""
        return f"ff:{{{self.queue}}}:{suffix}"

    def job(self, job_id: str) -> str:
        """The record of one job."""
        return self.key(PREFIXES["jobs"] + job_id)

    def card(self, worker: str) -> str:
        """What is known of one worker."""
        return self.key(PREFIXES["cards"] + worker)

    def for_scripts(self) -> list[str]:
        """KEYS of every script: the shared ones, then the beginnings of the others."""
        return [*map(self.key, SHARED_KEYS), *map(self.key, PREFIXES.values())]
