"""The transition table is complete and says which states are ends."""

from fastflow_ray.jobs.states import TERMINAL, TRANSITIONS, JobState


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(JobState)


def test_terminal_states_end_a_job_save_for_redriving_the_dead() -> None:
    ways_out = {state: TRANSITIONS[state] for state in TERMINAL}
    assert ways_out == {
        JobState.SUCCEEDED: frozenset(),
        JobState.CANCELLED: frozenset(),
        JobState.DEAD: frozenset({JobState.QUEUED}),
    }


def test_every_state_but_the_delayed_of_a_new_job_is_reachable_from_queued() -> None:
    reached = {JobState.QUEUED}
    while True:
        further = reached.union(*(TRANSITIONS[state] for state in reached))
        if further == reached:
            break
        reached = further
    assert reached == set(JobState)
