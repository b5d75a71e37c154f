"""What a worker tells Prometheus; Ray exports each name with `ray_` in front.

Counters are named without `_total`, which Ray adds. No job and no worker is a label: the series of all workers of a
model are summed. Ray's histograms estimate their sum, so the seconds are counted beside them.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Histogram

from fastflow_ray.bandit.audits import IDENTICAL_DB
from fastflow_ray.storage.publication import Audit
from workers.ending import Ending, Fate

DURATION_BOUNDS_S: list[float] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 2700, 3600]
FIDELITY_BOUNDS_DB: list[float] = [20, 25, 30, 35, 40, 45, 50, 60, IDENTICAL_DB]
SOON_S = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60]
UPLOAD_FAILED = "storage"  # the code of StorageFailed


class RayMeter:
    """A `Meter` on Ray's metrics."""

    def __init__(self) -> None:
        self._started = _counter("jobs_started", "Attempts begun")
        self._finished = _counter("jobs_finished", "Attempts ended, by what became of them", "outcome", "reason")
        self._lease_lost = _counter("lease_lost", "Attempts whose job was given to somebody else")
        self._fenced = _counter(
            "fenced_results", "Results that the queue refused, for the job was somebody else's by then"
        )
        self._uploaded_bytes = _counter("upload_bytes", "Bytes of the results published")
        self._uploads_failed = _counter("upload_errors", "Attempts that the store ended")
        self._queue_s = _counter("job_queue_sum_seconds", "Seconds from ready to claimed, of attempts")
        self._queue_waits = _histogram("job_queue_seconds", "From ready to claimed, of attempts")
        self._phase_s = _counter("job_phase_seconds", "Seconds by phase of a job", "phase")
        self._duration_s = _counter("job_duration_sum_seconds", "Seconds from claim to end, of succeeded jobs")
        self._durations = _histogram("job_duration_seconds", "From claim to end, of succeeded jobs")
        self._nfe = _counter("nfe", "Network evaluations of videos, each guidance branch counted, audits' not")
        self._baseline_nfe = _counter("baseline_nfe", "Network evaluations the same videos cost without skipping")
        self._steps = _counter("steps", "Steps of the grids walked")
        self._skipped = _counter("skipped_steps", "Steps of them without the network")
        self._added = _counter("added_steps", "Steps evaluated beyond the plan, for predictions had left their band")
        self._audits = _counter("audits", "Videos that were made in full too, to be compared")
        self._audit_nfe = _counter("audit_nfe", "Network evaluations of audits, full runs and rival plans")
        self._fidelities = _histogram("audit_psnr_db", "Fidelity of audited videos, in dB", FIDELITY_BOUNDS_DB)
        self._promises = _counter("promises_audited", "Audited videos that were to keep a fidelity")
        self._broken = _counter("promises_broken", "Of them those that did not keep it")
        self._switches = _counter("model_switches", "Times a job wanted this model and another was loaded")
        self._busy_s = _counter("gpu_busy_seconds", "Seconds in which the device made a video, from text to pixels")
        self._idle_s = _counter("gpu_idle_seconds", "Seconds in which it did not")
        self._waiting_s = _counter("gpu_waiting_seconds", "Idle seconds in which there was no job to be had")
        self._cancel_s = _counter(
            "cancel_latency_sum_seconds", "Seconds from the wish to the end, of cancelled attempts"
        )
        self._cancels = _histogram("cancel_latency_seconds", "From the wish to the end, of cancelled attempts", SOON_S)

    def began(self, model: str, waited_s: float) -> None:
        """A job was claimed that had been ready for so long."""
        self._add(self._started, model, 1)
        self._add(self._queue_s, model, waited_s)
        self._queue_waits.observe(waited_s, {"model": model})

    def ended(self, model: str, ending: Ending) -> None:
        """Its attempt is over."""
        self._add(self._finished, model, 1, outcome=ending.fate.value, reason=ending.reason)
        self._add(self._lease_lost, model, ending.fate is Fate.LOST)
        self._add(self._fenced, model, ending.fenced)
        self._add(self._uploaded_bytes, model, ending.published_bytes)
        self._add(self._uploads_failed, model, ending.reason == UPLOAD_FAILED)
        for phase, seconds in ending.phase_s.items():
            self._add(self._phase_s, model, seconds, phase=phase)
        if ending.fate is Fate.SUCCEEDED:
            self._add(self._duration_s, model, ending.duration_s)
            self._durations.observe(ending.duration_s, {"model": model})
        if ending.cancel_s is not None:
            self._add(self._cancel_s, model, ending.cancel_s)
            self._cancels.observe(ending.cancel_s, {"model": model})
        if done := ending.evaluations:
            self._add(self._nfe, model, done.nfe)
            self._add(self._baseline_nfe, model, done.baseline_nfe)
            self._add(self._steps, model, done.made + done.skipped)
            self._add(self._skipped, model, done.skipped)
            self._add(self._added, model, done.added)
        if ending.audit:
            self._audited(model, ending.audit, ending.asked_db)

    def _audited(self, model: str, audit: Audit, asked_db: float | None) -> None:
        seen_db = IDENTICAL_DB if audit.psnr_db is None else audit.psnr_db
        self._add(self._audits, model, 1)
        self._add(self._audit_nfe, model, audit.nfe)
        self._fidelities.observe(seen_db, {"model": model})
        self._add(self._promises, model, asked_db is not None)
        self._add(self._broken, model, asked_db is not None and seen_db < asked_db)

    def loaded(self, model: str, seconds: float) -> None:
        """The model has been read."""
        self._add(self._phase_s, model, seconds, phase="load")

    def switched(self, model: str) -> None:
        """A job wanted this model, and another was loaded."""
        self._add(self._switches, model, 1)

    def was_busy(self, model: str, seconds: float) -> None:
        """So long the device had work."""
        self._add(self._busy_s, model, seconds)

    def was_idle(self, model: str, seconds: float) -> None:
        """So long it had none."""
        self._add(self._idle_s, model, seconds)

    def waited(self, model: str, seconds: float) -> None:
        """So long of that there was no job to be had."""
        self._add(self._waiting_s, model, seconds)

    def _add(self, counter: Counter, model: str, amount: float, **tags: str) -> None:
        if amount > 0:  # Ray refuses to count nothing
            counter.inc(amount, {"model": model} | tags)


def _counter(name: str, description: str, *tags: str) -> Counter:
    return Counter(f"fastflow_{name}", description, ("model", *tags))


def _histogram(name: str, description: str, bounds: list[float] = DURATION_BOUNDS_S) -> Histogram:
    return Histogram(f"fastflow_{name}", description, bounds, ("model",))
