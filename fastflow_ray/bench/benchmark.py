"""The measuring itself: every subject by every setting of every method, unless the ledger has it already.

Prompts are the outer loop: the full run of only one is held at a time, and whatever else the machine is doing is
spread over all methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastflow_ray.bench.measurement import FULL, Key, Ledger, Measurement
from fastflow_ray.bench.method import Learnt, Method, NotApplicable, Setting
from fastflow_ray.bench.regime import Regime
from fastflow_ray.bench.stage import Stage, Take
from fastflow_ray.bench.subject import Subject
from fastflow_ray.media.fidelity import psnr_db, ssim

EQUAL_DB = 150.0  # stands for frames that are the same, bit for bit
IDLE = "skipped nothing"
Place = tuple[str, int, str]  # method, generations it learnt from, setting


@dataclass(frozen=True)
class Entry:
    """One setting of one method."""

    method: Method
    setting: Setting

    @property
    def place(self) -> Place:
        """Its name in the verdicts."""
        return (self.method.name, self.method.learning, self.setting.label)

    @property
    def lesson(self) -> Place:
        """What shares one learning."""
        return self.place if self.setting.learns_alone else (self.method.name, self.method.learning, "")

    def key(self, regime: Regime, subject: Subject) -> Key:
        """As the ledger files it."""
        return (regime, self.method.name, self.method.learning, self.setting.label, subject.prompt, subject.seed)


@dataclass
class Verdicts:
    """Why methods, or settings, are no rows of a regime."""

    methods: dict[tuple[str, int], str] = field(default_factory=dict)
    settings: dict[Place, str] = field(default_factory=dict)


class Benchmark:
    """One regime under measurement."""

    def __init__(
        self, stage: Stage, ledger: Ledger, regime: Regime, methods: Sequence[Method], budgets: Sequence[float]
    ) -> None:
        self.regime = regime
        self.verdicts = Verdicts()
        self._stage = stage
        self._ledger = ledger
        self._learnt: dict[Place, Learnt] = {}
        self._working: set[Place] = set()
        self._entries = [entry for method in methods for entry in self._settings(method, budgets)]

    def measurements(self, subjects: Sequence[Subject]) -> int:
        """How many there are to make or to find, full runs among them."""
        return len(subjects) * (1 + len(self._entries))

    def measure(self, subjects: Sequence[Subject], told: Callable[[str], None]) -> list[Measurement]:
        """Every measurement, in order; `told` hears of each one made, found or given up."""
        made: list[Measurement] = []
        for subject in subjects:
            made += self._of_subject(subject, told)
        return made

    def _settings(self, method: Method, budgets: Sequence[float]) -> list[Entry]:
        try:
            return [Entry(method, setting) for setting in method.settings(self.regime, budgets)]
        except NotApplicable as why:
            self.verdicts.methods[method.name, method.learning] = str(why)
            return []

    def _of_subject(self, subject: Subject, told: Callable[[str], None]) -> list[Measurement]:
        reference, full = self._reference(subject)
        told(FULL)
        made = [full]
        for entry in self._entries:
            if entry.place not in self.verdicts.settings:
                measurement = self._ledger.get(entry.key(self.regime, subject))
                if measurement is None and (attempt := self._attempt(entry, subject)):
                    reference = reference or self._full_take(subject)
                    measurement = self._keep(entry.key(self.regime, subject), *attempt, reference)
                if measurement is not None:
                    made.append(measurement)
                    self._judge(entry, measurement)
            told(entry.method.name)
        return made

    def _reference(self, subject: Subject) -> tuple[Take | None, Measurement]:
        """The full run's measurement, and the run itself if it had to be made."""
        key: Key = (self.regime, FULL, 0, "", subject.prompt, subject.seed)
        if known := self._ledger.get(key):
            return None, known
        take = self._full_take(subject)
        return take, self._keep(key, take, Learnt(), take)

    def _full_take(self, subject: Subject) -> Take:
        with self._stage.scheduled(self._stage.flow_euler(self.regime)):
            return self._stage.perform(subject, self.regime, self.regime.steps)

    def _attempt(self, entry: Entry, subject: Subject) -> tuple[Take, Learnt] | None:
        """None if the setting does not apply, which the verdicts then say."""
        method, setting = entry.method, entry.setting
        try:
            learnt = self._prepared(entry)
            with method.applied(self._stage, self.regime, setting, learnt) as steps:
                return self._stage.perform(subject, self.regime, steps), learnt
        except NotApplicable as why:
            self.verdicts.settings[entry.place] = str(why)
            return None

    def _prepared(self, entry: Entry) -> Learnt:
        if entry.lesson not in self._learnt:
            self._learnt[entry.lesson] = entry.method.learn(self._stage, self.regime, entry.setting)
        return self._learnt[entry.lesson]

    def _keep(self, key: Key, take: Take, learnt: Learnt, reference: Take) -> Measurement:
        measurement = Measurement(
            *key,
            evaluations=take.evaluations,
            wall_s=round(take.wall_s, 4),
            cpu_s=round(take.cpu_s, 4),
            psnr_db=_finite(psnr_db(take.frames, reference.frames)),
            ssim=ssim(take.frames, reference.frames),
            latent_psnr_db=_finite(_latent_psnr_db(take.latents, reference.latents)),
            learning_evaluations=learnt.evaluations,
        )
        self._ledger.add(measurement)
        return measurement

    def _judge(self, entry: Entry, measurement: Measurement) -> None:
        """A setting that skips nothing on the first prompt is not worth measuring on the others."""
        if not measurement.idle:
            self._working.add(entry.place)
        elif entry.place not in self._working:
            self.verdicts.settings[entry.place] = IDLE


def _latent_psnr_db(latents: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """With the range of the reference as the peak."""
    mse = float(np.mean((latents.astype(np.float64) - reference) ** 2))
    return 20 * math.log10(float(np.ptp(reference))) - 10 * math.log10(mse) if mse else math.inf


def _finite(decibels: float) -> float:
    return round(min(decibels, EQUAL_DB), 4)
