"""The page to read first: where sampling and what was learnt meet.

A flow model makes a video by walking sigma from 1 to 0, and nearly all the time goes into evaluating its network at
every step. Here some steps are evaluated, and the others go by what is predicted from the velocities evaluated before.
Which ones is learnt, in one of two ways:

FastFlow, as published: over skipped steps along the line through the last two velocities. How many steps may be skipped
after step k is learnt by a bandit of its own for every k, from the error seen whenever a real evaluation ends a skip. A
skip is credited to the step where it starts, and may only be chosen if there is a step left whose evaluation can end
it: the first two steps and the last are always evaluated.

The learned plan, whenever a pace is asked for: settled before the trajectory begins, from how the velocities of earlier
trajectories went together, how far predictions missed and how deviations grew.

    sampling/  walks, predicts, measures errors;  asks a `SkipPolicy`, or obeys a `Plan`;  knows no bandit
    bandit/    keeps what was seen, chooses arms and paths of least error;                 knows no tensor
    here       `FastFlow` remembers across generations, and gives each of them a `BanditPolicy` or a `PlanPolicy`,
               which are the one in terms of the other

Source: FastFlow, arXiv 2602.11105.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Integral
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from torch import Tensor

from fastflow_ray.bandit.arm_table import ArmTable
from fastflow_ray.bandit.policy_key import PolicyKey, nearest
from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.bandit.trajectory import TrajectoryTable
from fastflow_ray.errors import InvalidInput
from fastflow_ray.pace import CONFIDENCE, Pace, asked, is_finite
from fastflow_ray.planning.bandit_policy import BanditPolicy
from fastflow_ray.planning.contribution import Contribution
from fastflow_ray.planning.plan_policy import PlanPolicy
from fastflow_ray.planning.trial import Fidelity, Trial
from fastflow_ray.sampling.fastflow import fastflow
from fastflow_ray.sampling.fidelity import sample_psnr_db
from fastflow_ray.sampling.grid import as_grid, fingerprint
from fastflow_ray.sampling.machine import Machine
from fastflow_ray.sampling.plan import Plan
from fastflow_ray.sampling.plan_machine import PlanMachine
from fastflow_ray.sampling.planned import planned
from fastflow_ray.sampling.sightings import Sightings
from fastflow_ray.sampling.step_machine import StepMachine
from fastflow_ray.sampling.trace import Trace
from fastflow_ray.sampling.velocity import Velocity, as_noise

if TYPE_CHECKING:
    from fastflow_ray.models.attachment import Attachment

ARMS = (0, 2, 4, 6)  # steps skipped, as published
GAMMA = 2.0  # as published


class FastFlow:
    """Samples with most evaluations skipped, and learns across calls which to skip. For one thread at a time.

    The same statistics, noise and calls give the same decisions: there is no other chance in them.
    """

    def __init__(self, gamma: float = GAMMA, arms: Sequence[int] = ARMS, statistics: Statistics | None = None) -> None:
        """`statistics` is what is known already; it is copied. Raises InvalidInput for what makes no sense."""
        if not (is_finite(gamma) and gamma >= 0):
            raise InvalidInput(f"gamma = {gamma!r} is no weight of exploration; use a number from 0, such as {GAMMA}")
        if not _are_arms(arms):
            raise InvalidInput(f"arms {arms!r} have to be whole numbers that rise strictly from 0, such as {ARMS}")
        _check_statistics(statistics)
        self.gamma = gamma
        self.arms = tuple(arms)
        self.statistics = Statistics().merge(statistics or Statistics())  # what it decides from
        self._shared: set[str] = set()  # the keys whose tables in it somebody else may hold
        self._delta = Statistics()
        self._is_alone = True  # until it hears from a fleet
        self._contributions: dict[str, Contribution] = {}  # to that fleet, by key of the learned plan

    def sample(
        self,
        velocity: Velocity,
        x: Tensor,
        sigmas: Tensor | ArrayLike,
        key: str | PolicyKey = "",
        *,
        evaluations: int | None = None,
        speedup: float | None = None,
        fidelity_db: float | None = None,
        confidence: float = CONFIDENCE,
        plan: Plan | None = None,
    ) -> tuple[Tensor, Trace]:
        """Integrate dx/dsigma = velocity(x, sigma) over `sigmas`, shape (steps + 1,), from noise x, shape (batch, …).

        With `evaluations`, or with `speedup` for steps / speedup of them, it follows a plan drawn up from what was
        learnt: the first call of a key evaluates every step, and now and then one runs its seed in full too, which
        `trace.nfe` counts and `trace.audit_db` tells of. Errors out of the ordinary add up to half, `trace.added`.
        With `fidelity_db` every step is evaluated until audits show that fewer keep so many dB with the probability
        `confidence`. With a `plan` it walks that one, such as the `trace.plan` of an earlier call, whose video it makes
        again. Without any, it is FastFlow as published.

        `velocity` is called with all of x, float32, and sigma, 0-dimensional float32, and may answer in any dtype.
        Calls with the same `key` learn from each other; without one, those with the same grid and shape of x. A text
        of your own stands for one grid and one set of arms: another raises StatisticsMismatch. Returns x at sigma = 0,
        float32, and what was done. Raises InvalidInput and InvalidOutput too.
        """
        sigmas, x = as_grid(sigmas), as_noise(x)
        pace = asked(
            evaluations=evaluations, speedup=speedup, fidelity_db=fidelity_db, confidence=confidence, plan=plan
        )
        if pace is None:
            return fastflow(velocity, x, sigmas, self._policy(key, sigmas, _shape(x.shape)))
        return self._sample_planned(velocity, x, sigmas, key, pace)

    def _sample_planned(
        self, velocity: Velocity, x: Tensor, sigmas: Tensor, key: str | PolicyKey, pace: Pace
    ) -> tuple[Tensor, Trace]:
        policy, seen = self._plan_policy(key, sigmas, _shape(x.shape), pace), Sightings()
        sample, trace = planned(velocity, x, sigmas, policy.plan, seen, policy.watch)
        policy.tell(trace)

        def walk(plan: Plan) -> tuple[Tensor, Sightings]:
            other_seen = Sightings()
            trace.nfe += plan.evaluations  # also of one that leads the network astray, which is noticed at its end
            return planned(velocity, x, sigmas, plan, other_seen)[0], other_seen

        trial = Trial(policy.audits, seen, trace, policy.plan)
        with policy.all_or_nothing() if trial.is_due else nullcontext():
            if trial.is_due:
                _, (trace.audit_db, _) = trial.hold(sample, walk, lambda a, b: Fidelity(sample_psnr_db(a, b)))
            policy.learn(seen, trace.plan or policy.plan)
        return sample, trace

    @contextmanager
    def attach(
        self,
        pipe: Any,
        key: str | PolicyKey = "",
        *,
        evaluations: int | None = None,
        speedup: float | None = None,
        fidelity_db: float | None = None,
        confidence: float = CONFIDENCE,
        plan: Plan | None = None,
    ) -> Iterator[Attachment]:
        """Accelerate every call of a diffusers flow pipeline inside the `with`; on leaving, it is as it was.

        The object given has the `trace` of the latest call, and its `trial`: a pipeline is called once, and audits
        nothing by itself. `key` and all after it as in `sample`; without a key, calls with the same grid, shape and
        guidance learn from each other. Raises AccelerationUnavailable, saying why, and InvalidInput if attached twice.
        """
        from fastflow_ray.models.attachment import attach  # only here is diffusers needed

        pace = asked(
            evaluations=evaluations, speedup=speedup, fidelity_db=fidelity_db, confidence=confidence, plan=plan
        )

        def machine_for(sigmas: Tensor, shape: Sequence[int], restarts: Collection[int]) -> Machine:
            guidance = getattr(pipe, "guidance_scale", None)
            call = ("" if guidance is None else f"guidance{guidance:g}:") + _shape(shape)
            begun = attachment.resumes.policy if attachment.resumes else None
            if pace is None:
                attachment.policy = policy = self._policy(key, sigmas, call, begun)
                return StepMachine(sigmas, policy, restarts)
            attachment.policy = plan_policy = self._plan_policy(key, sigmas, call, pace, restarts, begun)
            machine = PlanMachine(plan_policy.plan, plan_policy.learn, plan_policy.watch)
            plan_policy.tell(machine.trace)
            trial = Trial(plan_policy.audits, machine.sightings, machine.trace, plan_policy.plan)
            attachment.trial = trial if begun is None else None
            return machine

        with attach(pipe, machine_for) as attachment:
            yield attachment

    def ignorant(self) -> FastFlow:
        """One that knows nothing and teaches this one nothing, for walks that only serve to compare."""
        return FastFlow(self.gamma, self.arms)

    def forget_delta(self) -> None:
        """Drop what was learnt since the last take: the same seed shows it again, to whoever makes its video."""
        self._delta = Statistics()

    def take_delta(self) -> Statistics:
        """What was learnt since the last take; `statistics` holds it already. Call between generations."""
        delta, self._delta = self._delta, Statistics()
        for name, table in delta.trajectories.items():
            self._contributions[name].own_runs += table.runs
        return delta

    def adopt(self, snapshot: Statistics) -> None:
        """Decide from what the fleet knows and what was learnt here since the last take. Call between generations.

        `snapshot` stays as it is, and others may adopt it too; whoever learns into it elsewhere gives a copy.
        """
        self.statistics = snapshot.plus(self._delta)
        self._shared = {*snapshot.keys} - {*self._delta.keys}
        self._is_alone = False

    def _own(self, key: str) -> Statistics:
        """`statistics`, to learn into under this key: a generation copies what it uses of what was adopted, and a key
        under which nothing was learnt is bound to no grid."""
        if key in self._shared:
            self._shared.remove(key)
            self.statistics = self.statistics.owning(key)
        for statistics in (self.statistics, self._delta):
            statistics.release(key)
        return self.statistics

    def _policy(
        self, key: str | PolicyKey, sigmas: Tensor, call: str, begun: Mapping[str, Any] | None = None
    ) -> BanditPolicy:
        steps, grid = len(sigmas) - 1, fingerprint(sigmas)
        name = self._table_name(key, call, grid)
        known = self._own(name).table(name, steps=steps, arms=self.arms, grid=grid)
        learnt = self._delta.table(name, steps=steps, arms=self.arms, grid=grid)
        if begun is None:
            return BanditPolicy(known, learnt, self.gamma)
        table = ArmTable.from_dict(begun["table"])
        table.check(name, steps, self.arms, grid)
        return BanditPolicy(known, learnt, self.gamma, table)

    def _plan_policy(
        self,
        key: str | PolicyKey,
        sigmas: Tensor,
        call: str,
        pace: Pace,
        restarts: Collection[int] = (),
        begun: Mapping[str, Any] | None = None,
    ) -> PlanPolicy:
        steps, grid = len(sigmas) - 1, fingerprint(sigmas)
        _check_plan(pace.plan)
        pace.check(steps, grid)
        name = key if isinstance(key, str) and key else f"{_keyed(key, call)}:grid{grid}"
        known = self._own(name).trajectory(name, steps=steps, grid=grid)
        learnt = self._delta.trajectory(name, steps=steps, grid=grid)
        own = self._contributions.setdefault(name, Contribution(fleet_runs_before=known.runs))
        fleet_share = 1.0 if self._is_alone else own.fleet_share(known.runs, under_way=learnt.runs)
        return PlanPolicy(known, learnt, pace, sigmas, restarts, self._neighbour(name, grid), fleet_share, begun)

    def _neighbour(self, name: str, grid: str) -> tuple[str, TrajectoryTable] | None:
        """Of the keys that know something about this grid, the one whose generations are likest."""
        tables = self.statistics.trajectories
        lender = nearest(name, [key for key, table in tables.items() if table.grid == grid and table.full_runs])
        return (lender, tables[lender]) if lender else None

    def _table_name(self, key: str | PolicyKey, call: str, grid: str) -> str:
        """Names we make tell arms and grids apart. So workers of two versions in one fleet never meet in one table,
        and none of their jobs dies of it."""
        if isinstance(key, str) and key:
            return key
        return f"{_keyed(key, call)}:arms{'-'.join(map(str, self.arms))}:grid{grid}"


def _check_statistics(statistics: object) -> None:
    if not isinstance(statistics, Statistics | None):
        raise InvalidInput(f"a {type(statistics).__name__} is no statistics; read them by `Statistics.from_json`")


def _are_arms(arms: object) -> bool:
    """Whether these are skip lengths, in steps, that rise strictly from 0."""
    if not isinstance(arms, Sequence) or not arms or not all(isinstance(arm, Integral) for arm in arms):
        return False
    return arms[0] == 0 and list(arms) == sorted(set(arms))


def _keyed(key: str | PolicyKey | None, call: str) -> str:
    """What the generations of this key share; those of the same `call` where none is given."""
    return call if key is None or key == "" else str(key)


def _check_plan(plan: object) -> None:
    if not isinstance(plan, Plan | None):
        raise InvalidInput(
            f"a {type(plan).__name__} is no plan; give the `trace.plan` of a call, or `Plan.from_dict` it"
        )


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
