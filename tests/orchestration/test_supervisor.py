"""The supervisor's decisions, over a real queue and workers on paper."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, pairwise

import pytest
from leaks import ClosedAfter
from paper_pool import PaperCluster, PaperPool
from waiting import wait_for

from fastflow_ray.errors import QueueUnavailable
from fastflow_ray.jobs.states import JobState
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Expired, JobQueue, QueueDepth
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.opening import open_desk
from fastflow_ray.queue.worker_card import RESTING
from orchestration.autoscale import Limits
from orchestration.backlog import Backlog, total
from orchestration.hung_workers import CLING_S, SILENCE_S, HungWorkers
from orchestration.resting_machines import FIRST_REST_S, WITHIN_S
from orchestration.supervisor import FleetStatus, Supervisor
from orchestration.worker_pool import WorkerSight
from workers.status import WorkerState


@dataclass
class Scene:
    """A supervisor, the cluster it looks after, and a clock that only the test moves."""

    queue: JobQueue
    cluster: PaperCluster
    limits: Limits
    others: Sequence[JobQueue] = ()  # further models' queues
    url: str = ""
    now_s: float = 0.0
    place: str = ""

    def __post_init__(self) -> None:
        self.supervisor = self.successor()

    def successor(self) -> Supervisor:
        """A supervisor that starts with nothing in its head."""
        backlog = Backlog([self.queue, *self.others], grace_s=0.0)
        return Supervisor("m", backlog, PaperPool(self.cluster), self.limits, "w-", lambda: self.now_s, self.place)

    def submit(self, jobs: int) -> None:
        """Put jobs on the queue."""
        for _ in range(jobs):
            self.queue.submit(VideoJob(prompt="a red circle", model=self.queue.name))

    def ticks(self, number: int, apart_s: float = 1.0) -> FleetStatus:
        """Let time pass; answers the last status."""
        for _ in range(number):
            self.now_s += apart_s
            status = self.supervisor.tick()
        return status

    def states(self) -> Counter[str]:
        """How many workers are in which state."""
        return Counter(worker.state.value for worker in self.cluster.workers.values())


@pytest.fixture
def scene(valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter) -> Callable[..., Scene]:
    def begin(gpus: int = 99, models: int = 1, **limits: float) -> Scene:
        queue, *others = (closed_after(open_queue(valkey.url, f"{model}-{n}")) for n in range(models))
        return Scene(queue, PaperCluster(gpus), Limits(**limits), others, valkey.url)  # type: ignore[arg-type]

    return begin


def test_a_fleet_begins_with_its_floor_and_grows_to_its_ceiling(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=2, ceiling=4)
    fleet.ticks(3)
    assert sorted(fleet.cluster.workers) == ["w-0", "w-1"]
    fleet.submit(40)
    assert fleet.ticks(1).wanted == 4
    assert sorted(fleet.cluster.workers) == ["w-0", "w-1", "w-2", "w-3"]


def test_without_work_it_shrinks_to_its_floor_when_patience_ends_and_not_before(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=0, ceiling=4, patience_s=60)
    fleet.submit(3)
    fleet.ticks(3)
    for record in fleet.queue.list():
        fleet.queue.cancel(record.job_id)
    assert fleet.ticks(59).count(WorkerState.IDLE) == 3
    assert fleet.ticks(4).workers == ()
    assert fleet.ticks(1).exits == {"dismissed": 3}


def test_it_grows_for_the_work_of_all_its_models_and_reaps_in_every_queue(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=0, ceiling=9, models=2)
    other = fleet.others[0]
    fleet.submit(2)
    lost = other.submit(VideoJob(prompt="a red circle", model=other.name))
    status = fleet.ticks(1)
    assert status.wanted == 3
    assert (status.depth.queued, status.depth.submitted) == (3, 3)
    assert {model: depth.queued for model, depth in status.depths.items()} == {fleet.queue.name: 2, other.name: 1}

    claim = other.claim("a worker that dies", lease_s=0.05)
    assert claim is not None
    assert claim.job_id == lost.job_id
    wait_for(lambda: fleet.ticks(1).depths[other.name].queued == 1)
    assert (status.reaped, fleet.ticks(1).reaped) == (0, 1)


def test_a_paused_queue_calls_for_one_worker_and_no_other_for_fewer(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=0, ceiling=9, models=2)
    other = fleet.others[0]
    for _ in range(5):
        other.submit(VideoJob(prompt="a red circle", model=other.name))
    desk = open_desk(fleet.url, other.name)
    desk.pause("upkeep")
    assert fleet.ticks(1).wanted == 1
    fleet.submit(3)
    assert fleet.ticks(1).wanted == 3
    desk.resume()
    desk.close()
    assert fleet.ticks(1).wanted == 8


def test_a_backlog_is_the_sum_of_its_queues() -> None:
    depths = [QueueDepth(queued=n, oldest_queued_age_s=n) for n in (1, 2)]
    assert total(depths) == QueueDepth(queued=3, oldest_queued_age_s=2.0)
    assert total([]) == QueueDepth()


def test_what_was_reaped_before_a_queue_failed_is_told_with_the_next_answer(scene: Callable[..., Scene]) -> None:
    fleet = scene()
    fleet.submit(1)
    claim = fleet.queue.claim("a worker that dies", lease_s=0.05)
    assert claim is not None
    fails = Unreliable(fleet.queue)
    backlog = Backlog([fleet.queue, fails], grace_s=0.0)

    def is_reaped() -> bool:
        with pytest.raises(QueueUnavailable):
            backlog.reap()
        return fleet.queue.depth().queued == 1

    wait_for(is_reaped)
    fails.works = True
    assert backlog.reap() == {claim.job_id}
    assert backlog.reap() == set()


def test_a_look_in_vain_at_one_queue_proves_nothing_of_the_others(scene: Callable[..., Scene]) -> None:
    """Redis was away from the second look on, and the first queue that was asked said so: nobody could beat."""
    fleet = scene()
    fleet.submit(1)
    assert fleet.queue.claim("a worker that lives", lease_s=0.05) is not None
    first, minutes = Unreliable(fleet.queue), count(step=60.0)
    first.works = True
    backlog = Backlog([first, fleet.queue], grace_s=30.0, clock=lambda: next(minutes))
    wait_for(fleet.queue.expired)
    assert backlog.reap() == set()
    first.works = False
    with pytest.raises(QueueUnavailable):
        backlog.reap()
    first.works = True
    assert backlog.reap() == set(), "the grace begins anew"


class Unreliable:
    """A queue in which nothing expires, once it can be reached."""

    def __init__(self, queue: JobQueue) -> None:
        self.name, self.works = queue.name, False

    def expired(self) -> Sequence[Expired]:
        if not self.works:
            raise QueueUnavailable("away")
        return []


def test_a_busy_worker_is_never_too_many(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=0, ceiling=3, patience_s=1)
    fleet.submit(3)
    fleet.ticks(3)
    for record in fleet.queue.list():
        fleet.queue.cancel(record.job_id)
    fleet.cluster.become("w-0", WorkerState.BUSY, "job")
    fleet.ticks(10)
    assert fleet.states() == {"busy": 1}


def test_who_is_not_there_yet_goes_before_who_is_idle(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=3, floor=0, ceiling=4, patience_s=1)
    fleet.submit(4)
    fleet.ticks(3)
    for name in ("w-0", "w-2"):
        claim = fleet.queue.claim(name, lease_s=60)
        assert claim is not None
        fleet.cluster.become(name, WorkerState.BUSY, claim.job_id)
    waiting = [record.job_id for record in fleet.queue.list() if record.state is JobState.QUEUED]
    fleet.queue.cancel(waiting[0])
    fleet.ticks(4)
    assert sorted(fleet.cluster.workers) == ["w-0", "w-1", "w-2"]
    fleet.queue.cancel(waiting[1])
    fleet.ticks(4)
    assert sorted(fleet.cluster.workers) == ["w-0", "w-2"]


def test_a_dead_worker_is_replaced_at_once_under_its_name(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=2, ceiling=2)
    fleet.ticks(4)
    fleet.cluster.crash("w-0")
    status = fleet.ticks(1)
    assert status.exits == {"died": 1}
    assert fleet.cluster.workers["w-0"].state is WorkerState.PENDING


def test_workers_that_die_before_they_are_ready_are_made_ever_more_slowly(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    made_at_s = []
    while fleet.now_s < 200:
        fleet.ticks(1)
        if "w-0" in fleet.cluster.workers:
            made_at_s.append(fleet.now_s)
            fleet.cluster.crash("w-0")
    pauses_s = [later - sooner for sooner, later in pairwise(made_at_s)]
    assert pauses_s == sorted(pauses_s)
    assert len(made_at_s) < 12
    assert pauses_s[-1] >= 60


def test_a_worker_that_is_seen_as_it_leaves_for_its_own_trouble_died(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    made = 0
    while fleet.now_s < 200:
        status = fleet.ticks(1)
        for name, worker in fleet.cluster.workers.items():
            made += worker.state is WorkerState.PENDING
            if worker.state is WorkerState.LOADING:
                fleet.cluster.become(name, WorkerState.LEAVING)
    assert made < 12, "it is made ever more slowly"
    assert set(status.exits) == {"died"}


def test_a_successor_adopts_the_workers_it_finds(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=3, ceiling=3)
    fleet.ticks(4)
    before = dict(fleet.cluster.workers)
    fleet.supervisor = fleet.successor()
    status = fleet.ticks(3)
    assert fleet.cluster.workers == before
    assert {worker.name for worker in status.workers} == {"w-0", "w-1", "w-2"}
    assert status.exits == {}


def test_an_adopted_worker_is_no_spare_one_and_at_the_end_is_asked_to_leave(scene: Callable[..., Scene]) -> None:
    """It may be at a job: to end it at once would cost that an attempt."""
    fleet = scene(floor=0, ceiling=1, patience_s=1)
    for name in ("w-0", "w-1"):
        fleet.cluster.become(name, WorkerState.ADOPTED, "job")
    assert fleet.ticks(5).count(WorkerState.ADOPTED) == 2
    fleet.supervisor.close()
    fleet.ticks(1)
    assert fleet.states() == {"draining": 2}


def test_an_adopted_worker_that_never_answers_is_ended_and_replaced(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    fleet.cluster.become("w-0", WorkerState.ADOPTED, silent_s=SILENCE_S + 1)
    assert fleet.ticks(3).exits == {"hung": 1}
    assert sorted(fleet.cluster.workers) == ["w-1"]


def test_a_worker_that_leaves_with_its_node_is_replaced_while_it_still_drains(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    fleet.ticks(4)
    fleet.cluster.become("w-0", WorkerState.DRAINING, "job")
    fleet.ticks(1)
    assert fleet.cluster.workers["w-1"].state is WorkerState.PENDING
    fleet.cluster.become("w-0", WorkerState.DRAINING)
    assert fleet.ticks(2).exits == {"drained": 1}
    assert sorted(fleet.cluster.workers) == ["w-1"]


def test_a_silent_worker_is_ended_and_replaced(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    fleet.ticks(4)
    fleet.cluster.become("w-0", WorkerState.IDLE, silent_s=SILENCE_S + 1)
    assert fleet.ticks(3).exits == {"hung": 1}
    assert sorted(fleet.cluster.workers) == ["w-1"]


def hour_with_a_bad_device(fleet: Scene, node: str) -> list[float]:
    """Whoever is ready there loses the device at once; answers when."""
    lost_at_s = []
    while fleet.now_s < 3600:
        fleet.ticks(1)
        if (worker := fleet.cluster.workers.get(fleet.cluster.on(node))) and worker.state is WorkerState.IDLE:
            fleet.cluster.lose_device(worker.name)
            lost_at_s.append(fleet.now_s)
    return lost_at_s


def lose_device_on(fleet: Scene, node: str) -> FleetStatus:
    """Of whoever is there, as soon as somebody is ready."""
    for _ in range(9):
        if (worker := fleet.cluster.workers.get(fleet.cluster.on(node))) and worker.state is WorkerState.IDLE:
            fleet.cluster.lose_device(worker.name)
            return fleet.ticks(1)
        fleet.ticks(1)
    raise AssertionError(f"nobody is ready on {node}")


def test_a_machine_that_loses_its_devices_is_left_alone_for_longer_each_time(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=4, floor=4, ceiling=4)
    lost_at_s = hour_with_a_bad_device(fleet, "node-2")
    rests_s = [later - sooner for sooner, later in pairwise(lost_at_s)]
    assert len(lost_at_s) == 4, "without rests a new worker would lose it every few seconds"
    assert rests_s[0] < 10 < FIRST_REST_S < rests_s[1] < FIRST_REST_S + 10 < 2 * FIRST_REST_S < rests_s[2]
    assert fleet.states() == {"idle": 3, "pending": 1}


def test_who_replaces_those_that_lost_their_device_begins_elsewhere(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=3, floor=1, ceiling=1)
    assert lose_device_on(fleet, "node-0").resting == {}
    assert fleet.ticks(1).exits == {"device_lost": 1}
    status = lose_device_on(fleet, "node-0")
    assert fleet.ticks(3).count(WorkerState.IDLE) == 1
    assert fleet.cluster.on("node-1")
    why = "workers lost a GPU of machine of node-0 again and again; it gets none for another 10 min"
    assert status.resting == {"machine of node-0": why}
    assert status.in_one_line().endswith(f"; {why}")
    (card,) = [card for card in fleet.queue.workers() if card.state == RESTING]
    assert (card.worker, card.why) == ("machine of node-0", why)


def test_one_lost_device_may_be_the_fault_of_its_job(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=3, floor=1, ceiling=1)
    lose_device_on(fleet, "node-0")
    fleet.ticks(4, apart_s=WITHIN_S / 2)
    assert fleet.cluster.on("node-0")
    assert lose_device_on(fleet, "node-0").resting == {}


def test_who_already_waits_when_a_machine_rests_does_not_begin_there(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=2, floor=3, ceiling=3)
    for _ in range(2):
        lose_device_on(fleet, "node-0")
    status = fleet.ticks(5)
    assert fleet.cluster.on("node-0") == ""
    assert fleet.states() == {"idle": 1, "pending": 2}
    assert status.exits["moved"] >= 1
    fleet.ticks(2, apart_s=FIRST_REST_S)
    assert fleet.ticks(3).count(WorkerState.IDLE) == 2, "who waits is told that the machine has rested"


def test_where_every_machine_rests_workers_wait(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=1, floor=1, ceiling=1)
    for _ in range(2):
        lose_device_on(fleet, "node-0")
    assert fleet.ticks(100).count(WorkerState.PENDING) == 1
    assert fleet.ticks(3, apart_s=FIRST_REST_S).count(WorkerState.PENDING) == 0


def test_where_many_machines_lose_devices_a_quarter_rests(scene: Callable[..., Scene]) -> None:
    """It is the jobs then, or a driver."""
    fleet = scene(gpus=8, floor=8, ceiling=8)
    for _ in range(3):
        for n in range(8):
            lose_device_on(fleet, f"node-{n}") if fleet.cluster.on(f"node-{n}") else None
            fleet.ticks(3)
    assert len(fleet.ticks(3).resting) == 2


def test_a_machine_that_rests_is_known_again_though_its_node_is_another(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=1, floor=1, ceiling=1)
    for _ in range(2):
        lose_device_on(fleet, "node-0")
    fleet.cluster.nodes.append("node-1")
    fleet.cluster.machine_of["node-1"] = "machine of node-0"
    assert fleet.ticks(10).exits["moved"] == 1
    assert fleet.states() == {"pending": 1}
    assert fleet.ticks(1).count(WorkerState.PENDING) == 1


def test_a_successor_knows_of_no_rests_and_tells_those_who_wait(scene: Callable[..., Scene]) -> None:
    fleet = scene(gpus=1, floor=1, ceiling=1)
    for _ in range(2):
        lose_device_on(fleet, "node-0")
    fleet.supervisor = fleet.successor()
    assert fleet.ticks(4).count(WorkerState.IDLE) == 1


def test_devices_that_are_lost_before_anybody_is_ready_are_tried_ever_more_slowly(scene: Callable[..., Scene]) -> None:
    fleet, lost = scene(gpus=99, floor=1, ceiling=1), 0
    while fleet.now_s < 200:
        fleet.ticks(1)
        for name, worker in list(fleet.cluster.workers.items()):
            if worker.state is WorkerState.LOADING and not worker.ends:
                fleet.cluster.lose_device(name)
                lost += 1
    assert 2 < lost < 12


def lose_a_job(fleet: Scene, worker: str) -> str:
    """Let a worker be seen with a job that the queue then takes from it."""
    fleet.ticks(4)
    job_id = fleet.queue.submit(VideoJob(prompt="a red circle", model=fleet.queue.name)).job_id
    fleet.cluster.become(worker, WorkerState.BUSY, job_id)
    fleet.ticks(1)
    assert fleet.queue.claim(worker, lease_s=0.01) is not None
    wait_for(lambda: fleet.ticks(1).depth.running == 0)
    return job_id


def test_lost_jobs_are_queued_again_and_who_clings_to_one_is_ended(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=2, ceiling=2)
    job_id = lose_a_job(fleet, "w-0")
    job = fleet.queue.get(job_id)
    assert job is not None
    assert (job.state, job.crashes) == (JobState.QUEUED, 1)
    assert fleet.ticks(1, apart_s=CLING_S).exits == {}
    assert fleet.ticks(2, apart_s=CLING_S).exits == {"hung": 1}


def test_a_job_that_is_published_is_clung_to_like_one_that_is_made(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    job_id = lose_a_job(fleet, "w-0")
    fleet.cluster.workers["w-0"] = WorkerSight("w-0", WorkerState.BUSY, job_id="another", publishing=job_id)
    fleet.ticks(1)
    fleet.queue.cancel(job_id)
    assert fleet.ticks(3, apart_s=CLING_S).exits == {"hung": 1}


def test_of_two_lost_jobs_the_one_that_is_clung_to_is_remembered() -> None:
    both = WorkerSight("w-0", WorkerState.BUSY, job_id="made", publishing="published")
    hung = HungWorkers()
    hung.robbed({"made", "published"}, [both], now_s=0.0)
    for left in ("made", "published"):
        other = WorkerSight("w-0", WorkerState.BUSY, job_id=left)
        remembered = copy.deepcopy(hung)
        assert remembered.among([other], now_s=1.0) == []
        assert remembered.among([other], now_s=CLING_S + 2.0) == [other]


def test_who_lets_go_of_a_lost_job_stays(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=1)
    lose_a_job(fleet, "w-0")
    fleet.cluster.become("w-0", WorkerState.IDLE)
    assert fleet.ticks(3, apart_s=CLING_S).exits == {}


def test_who_is_given_a_lost_job_again_does_not_cling_to_it(scene: Callable[..., Scene]) -> None:
    """The only worker, back after its Redis was out of reach: no look sees it between loss and claim."""
    fleet = scene(floor=1, ceiling=1)
    job_id = lose_a_job(fleet, "w-0")
    again = fleet.queue.claim("w-0", lease_s=60.0)
    assert again is not None
    assert again.job_id == job_id
    assert fleet.ticks(3, apart_s=CLING_S).exits == {}


def test_a_fleets_worker_is_not_taken_for_that_of_another_fleet_on_the_same_queue(scene: Callable[..., Scene]) -> None:
    """Blue's first worker hangs, and green's first worker is given its job."""
    blue = scene(floor=1, ceiling=1)
    green = Scene(blue.queue, PaperCluster(), blue.limits, place="@green")
    green.ticks(4)
    job_id = lose_a_job(blue, "w-0")
    (name,) = green.cluster.workers
    taken = green.queue.claim(name, lease_s=600.0)
    assert taken is not None
    assert taken.job_id == job_id
    assert blue.ticks(3, apart_s=CLING_S).exits == {"hung": 1}


def test_closing_dismisses_everybody_and_makes_nobody(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=2, ceiling=4)
    fleet.ticks(4)
    fleet.submit(4)
    fleet.cluster.become("w-0", WorkerState.BUSY, "job")
    fleet.supervisor.close()
    status = fleet.ticks(3)
    assert status.workers == ()
    assert status.exits == {"dismissed": 2}


def test_a_tick_without_redis_changes_nothing_and_the_next_goes_on(
    own_valkey: EmbeddedValkey, model: str, closed_after: ClosedAfter
) -> None:
    fleet = Scene(closed_after(open_queue(own_valkey.url, model)), PaperCluster(), Limits(floor=2, ceiling=2))
    fleet.ticks(4)
    own_valkey.stop()
    with pytest.raises(QueueUnavailable):
        fleet.ticks(1)
    assert fleet.states() == {"idle": 2}
    with EmbeddedValkey(own_valkey.directory, own_valkey.port):
        assert fleet.ticks(1).count(WorkerState.IDLE) == 2


def test_a_status_in_one_line_leaves_out_what_there_is_none_of() -> None:
    idle = FleetStatus(
        "m", workers=(WorkerSight("w-0", WorkerState.IDLE),), depths={"m": QueueDepth(queued=1, succeeded=2)}
    )
    assert idle.in_one_line() == "workers: 1 idle; jobs: 1 queued, 0 running, 2 done"
    troubled = FleetStatus("m", depths={"m": QueueDepth(delayed=3, dead=4)}, trouble="Redis is away; bring it back")
    assert troubled.in_one_line() == (
        "workers: none; jobs: 0 queued, 0 running, 0 done, 3 delayed, 4 failed; Redis is away; bring it back"
    )


def test_a_status_in_one_line_tells_who_rests() -> None:
    rests = [WorkerSight(f"w-{n}", WorkerState.IDLE, rests="the disk is full") for n in range(2)]
    last = WorkerSight("w-2", WorkerState.BUSY, "job", rests="the disk is full")
    assert FleetStatus("m", workers=(*rests, last)).in_one_line().startswith("workers: 2 resting, 1 busy; jobs:")


def test_while_workers_rest_a_fleet_grows_by_no_more_than_are_at_work(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=2, ceiling=9)
    fleet.ticks(3)
    for name in ("w-0", "w-1"):
        fleet.cluster.rest(name, "the disk is full; free some space")
    fleet.submit(40)
    assert fleet.ticks(2).wanted == 9
    assert sorted(fleet.cluster.workers) == ["w-0", "w-1", "w-2"], "it may be the trouble of two machines"
    fleet.cluster.crash("w-2")
    fleet.ticks(1)
    assert sorted(fleet.cluster.workers) == ["w-0", "w-1"], "it could not begin, and the next has to wait"
    assert [fleet.ticks(1) and len(fleet.cluster.workers) for _ in range(80)].count(3) >= 2, "one, until it is there"
    assert len(fleet.cluster.workers) == 9, "who is there and rests not has others follow"


def test_of_those_that_follow_each_waits_until_the_one_before_is_at_work(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=1, ceiling=9)
    fleet.ticks(3)
    fleet.cluster.rest("w-0", "the disk is full; free some space")
    fleet.submit(40)
    numbers = [fleet.ticks(1) and len(fleet.cluster.workers) for _ in range(10)]
    assert numbers == [2, 2, 3, 3, 5, 5, 9, 9, 9, 9]


def test_one_that_rests_among_many_holds_nobody_up(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=5, ceiling=9)
    fleet.ticks(3)
    fleet.cluster.rest("w-0", "its mount is gone; mount it")
    fleet.submit(40)
    fleet.ticks(1)
    assert len(fleet.cluster.workers) == 9


def test_a_job_that_waits_for_its_time_finds_a_worker(scene: Callable[..., Scene]) -> None:
    fleet = scene(floor=0, ceiling=4)
    fleet.queue.submit(VideoJob(prompt="a red circle", model=fleet.queue.name, delay_s=3600))
    assert fleet.ticks(3).count(WorkerState.IDLE) == 1
