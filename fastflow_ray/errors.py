"""The tree of errors. The class says whether a retry can help; the message names the thing and the remedy.

FastFlowError
├── InvalidInput              the caller's fault, never retried            exit code 2
│   ├── UnknownModel
│   ├── UnknownJob
│   ├── BeyondModel
│   ├── AccelerationUnavailable
│   ├── StatisticsMismatch
│   └── IdempotencyConflict
├── Permanent                 this job cannot succeed, never retried       exit code 1
│   ├── CorruptPayload
│   ├── InvalidOutput
│   ├── OutOfMemory
│   └── JobFailed
├── Retryable                 another attempt may succeed                  exit code 1
│   ├── QueueUnavailable
│   ├── QueueFull
│   │   ├── MemoryFull
│   │   └── DeadlineTooTight
│   ├── FleetUnavailable
│   ├── StorageFailed
│   │   └── StoreAway
│   ├── StatisticsUnavailable
│   ├── UnusableCheckpoint
│   ├── ModelLoadFailed
│   └── DeviceLost
└── Interrupted               the attempt ends, the job does not fail
    ├── LeaseLost
    ├── JobCancelled
    └── Draining
"""

from __future__ import annotations


class FastFlowError(Exception):
    """Base of all errors raised on purpose; `code` is what HTTP answers and job records show."""

    code = "internal"
    exit_code = 1  # of a command that ends with it


class InvalidInput(FastFlowError):
    """The request itself is wrong; the message says how to mend it."""

    code = "invalid_input"
    exit_code = 2


class UnknownModel(InvalidInput):
    """No such model in the catalogue, no such folder, and none that the hub gives."""


class UnknownJob(InvalidInput):
    """No such job in any queue."""

    code = "not_found"


class BeyondModel(InvalidInput):
    """A number of the job is more than its model can take."""

    def __init__(self, field: str, limit: int, model: str) -> None:
        """`field` is the job's name for the number."""
        self.field = field
        self.complaint = f"too large for {model}; at most {limit}"
        super().__init__(f"{field}: {self.complaint}")


class AccelerationUnavailable(InvalidInput):
    """Skipping was asked of a pipeline that cannot have it."""


class StatisticsMismatch(InvalidInput):
    """Statistics of another version, another grid or other arms."""


class IdempotencyConflict(InvalidInput):
    """The idempotency key was used before with another job."""


class Permanent(FastFlowError):
    """This job will fail again the same way: straight to the dead letters."""


class CorruptPayload(Permanent):
    """The job's payload in the queue is not a valid job."""

    code = "invalid_input"


class InvalidOutput(Permanent):
    """The model produced NaN or infinite values; such a video is never published."""

    code = "invalid_output"


class OutOfMemory(Permanent):
    """Memory did not suffice."""

    code = "oom"


class JobFailed(Permanent):
    """What a client learns of a dead job; `code` is that of the job's last error."""

    def __init__(self, message: str, code: str = "internal") -> None:
        super().__init__(message)
        self.code = code


class Retryable(FastFlowError):
    """Another attempt may succeed."""


class QueueUnavailable(Retryable):
    """Redis cannot be reached, or refuses us."""

    code = "queue_unavailable"


class QueueFull(Retryable):
    """The queue is at its limit; try again after `retry_after_s` seconds."""

    code = "queue_full"

    def __init__(self, message: str, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MemoryFull(QueueFull):
    """The server's memory is; its message is for whoever runs it."""


class DeadlineTooTight(QueueFull):
    """So much waits already that the job would not begin before its deadline."""

    code = "deadline"


class FleetUnavailable(Retryable):
    """The fleet did not come up, or Ray does not answer for it."""

    code = "fleet_unavailable"


class StorageFailed(Retryable):
    """The store refused a read or a write, or what it holds is not what was written."""

    code = "storage"


class StoreAway(StorageFailed):
    """The store keeps nothing of anybody's now: the job goes back to the queue with its attempt given back."""


class StatisticsUnavailable(Retryable):
    """The fleet's statistics cannot be reached; what was learnt is sent again."""

    code = "statistics_unavailable"


class UnusableCheckpoint(Retryable):
    """What the store holds of an interrupted job is damaged, or of another job or software: begin anew without it."""

    code = "checkpoint"


class ModelLoadFailed(Retryable):
    """The model could not be loaded on this worker."""

    code = "model_load"


class DeviceLost(Retryable):
    """The accelerator computes nothing any more in this process; another process may succeed."""

    code = "device_lost"


class Interrupted(FastFlowError):
    """Not a failure: this attempt has to stop at the next step."""


class LeaseLost(Interrupted):
    """The queue gave the job to somebody else; stop, and delete what this attempt uploaded."""

    code = "worker_lost"


class JobCancelled(Interrupted):
    """The user cancelled the job."""

    code = "cancelled"


class Draining(Interrupted):
    """The worker has to leave; the job goes back to the queue with its attempt given back."""

    code = "draining"
