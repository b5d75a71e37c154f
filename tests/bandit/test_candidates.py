"""Who is served and who still contends: a clear lead, and elimination that narrows with the audits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastflow_ray.bandit.candidates import (
    CANDIDATES,
    DOUBT_DB,
    FIRM,
    PRIOR,
    Candidate,
    Integrator,
    Record,
    Weighing,
    believed_best,
    contenders,
)

FIRST, SECOND, THIRD, *_ = CANDIDATES
EQUALS = [Candidate(Integrator.INTERPOLATE, emphasis / 8) for emphasis in range(8)]  # of one standing
FAVOURITE, OUTSIDER = Candidate(Integrator.INTERPOLATE, 1.0), Candidate(Integrator.LINE, standing_db=-10)

records = st.dictionaries(
    st.sampled_from(CANDIDATES), st.builds(Record, st.integers(1, 50), st.floats(0, 120)), max_size=len(CANDIDATES)
)


def all_at(audits: int, mean_db: float, candidates=CANDIDATES) -> dict:
    """What audits of candidates that are as good as they were elsewhere say."""
    return {candidate: Record(audits, mean_db + candidate.standing_db) for candidate in candidates}


def test_names_are_told_apart():
    assert len({candidate.name for candidate in CANDIDATES}) == len(CANDIDATES)


def test_a_name_says_what_makes_a_candidate_differ():
    cautious = Candidate(Integrator.INTERPOLATE, 1.5, Weighing.GROWTH, caution=2.0, standing_db=-3, firmness=FIRM)
    assert cautious.name == "interpolate-growth-1.5-caution-2"
    assert replace(cautious, caution=0.0).name == "interpolate-growth-1.5"
    assert replace(cautious, emphasis=None).name == "interpolate"


def test_before_any_audit_the_first_is_served_and_all_contend():
    assert believed_best({}) == FIRST
    assert contenders({}) == list(CANDIDATES)


def test_whoever_kept_most_is_served_and_of_equals_the_first():
    assert believed_best(all_at(4, 40)) == FIRST
    assert believed_best(all_at(4, 40, EQUALS) | {EQUALS[2]: Record(4, 40.1)}, EQUALS) == EQUALS[2]


def test_where_the_field_jumps_five_audits_suffice_for_plain_euler_to_be_served():
    """What audits of v = sign(x) + … said at 19 of 50 evaluations, on the same five seeds."""
    means_db = [29.6, 29.0, 28.0, 28.8, 27.9, 26.3, 28.1, 29.9, 34.7]
    measured = {each: Record(5, mean_db) for each, mean_db in zip(CANDIDATES, means_db, strict=True)}
    assert believed_best(measured).integrator is Integrator.HOLD
    assert believed_best(all_at(5, 40)) == FIRST


def test_where_little_is_evaluated_five_audits_suffice_for_a_plain_solver_to_be_served():
    """What audits said at guidance 1 and shift 8, 7 of 30 evaluated."""
    means_db = [34.1, 31.8, 35.8, 35.1, 32.5, 31.0, 39.0, 36.6, 32.2]
    measured = {each: Record(5, mean_db) for each, mean_db in zip(CANDIDATES, means_db, strict=True)}
    assert believed_best(measured, sparse=True).integrator is Integrator.ADAMS
    assert believed_best(measured).integrator is not Integrator.ADAMS
    with_guidance = {each: Record(5, 30 + each.standing_db) for each in CANDIDATES}
    assert believed_best(with_guidance, sparse=True) == FIRST
    adams = next(each for each in CANDIDATES if each.integrator is Integrator.ADAMS)
    assert adams in contenders({FIRST: Record(5, 40), adams: Record(5, 38)}, [FIRST, adams], sparse=True)
    assert adams not in contenders({FIRST: Record(5, 40), adams: Record(5, 38)}, [FIRST, adams])


def test_an_outsider_is_served_only_when_it_wins_again_and_again():
    """It kept 10 dB less elsewhere, which counts as three audits: ten at 3 dB more make up for it."""

    def after(audits: int) -> Candidate:
        records = {FAVOURITE: Record(audits, 50), OUTSIDER: Record(audits, 53)}
        return believed_best(records, [FAVOURITE, OUTSIDER])

    assert after(1) == after(9) == FAVOURITE
    assert after(11) == OUTSIDER


def test_the_firmer_a_standing_the_more_audits_it_takes_to_overrule_it():
    """Two dB behind elsewhere and two ahead here: as many audits as the standing counts as."""

    def after(audits: int, firmness: int) -> Candidate:
        near = Candidate(Integrator.INTERPOLATE, 0.5, standing_db=-2, firmness=firmness)
        favourite = replace(FAVOURITE, firmness=firmness)
        return believed_best({favourite: Record(audits, 50), near: Record(audits, 52.1)}, [favourite, near])

    assert [after(audits, PRIOR).emphasis for audits in (2, 3)] == [1.0, 0.5]
    assert [after(audits, FIRM).emphasis for audits in (9, 10)] == [1.0, 0.5]


def test_one_that_fails_altogether_lends_no_weight_to_those_that_stand_less_firmly():
    firm, loose = replace(FAVOURITE, firmness=FIRM), Candidate(Integrator.HALFWAY, 1.0)
    records = {firm: Record(5, 50), loose: Record(5, 49.9)}
    for failing in (Record(5, 40), Record(5, 0)):
        assert believed_best(records | {OUTSIDER: failing}, [firm, loose, OUTSIDER]) == firm


def test_what_fell_out_after_a_few_hard_videos_says_little_of_the_level():
    """Four heard thirty times at just what they stand for, five three times on videos 12 dB harder."""
    often = [each for each in CANDIDATES if each.firmness == FIRM]
    records = {
        each: Record(30, 52 + each.standing_db) if each in often else Record(3, 40 + each.standing_db)
        for each in CANDIDATES
    }
    assert believed_best(records) == FIRST


def test_a_lead_is_as_doubtful_as_the_one_with_fewer_audits():
    behind = DOUBT_DB + 1
    assert SECOND in contenders(all_at(100, 60) | {SECOND: Record(1, 60 - behind)})
    assert SECOND not in contenders(all_at(100, 60) | {SECOND: Record(100, 60 - behind)})


def test_where_the_first_was_never_audited_the_best_that_was_is_served():
    assert believed_best({SECOND: Record(1, 30), THIRD: Record(1, 20)}) == SECOND


@pytest.mark.parametrize("audits", [4, 16, 100])
def test_who_falls_behind_by_two_doubts_is_walked_no_more(audits):
    ahead = all_at(audits, 60, EQUALS)

    def left(behind_db: float) -> list[Candidate]:
        return contenders(ahead | {EQUALS[1]: Record(audits, 60 - behind_db)}, EQUALS)

    width = 2 * DOUBT_DB / math.sqrt(audits) * (audits + PRIOR) / audits  # what is believed is nearer than measured
    assert left(width - 0.01) == EQUALS
    assert left(width + 0.01) == [candidate for candidate in EQUALS if candidate != EQUALS[1]]


def test_elimination_narrows_with_the_audits():
    spread = {candidate: 60 - 1.5 * place for place, candidate in enumerate(EQUALS)}
    left = [
        len(contenders({candidate: Record(audits, mean) for candidate, mean in spread.items()}, EQUALS))
        for audits in (1, 4, 16, 64, 256)
    ]
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (len(EQUALS), 1)


@given(records)
def test_the_served_and_the_never_audited_always_contend(known):
    left = contenders(known)
    assert believed_best(known) in left
    assert {candidate for candidate in CANDIDATES if candidate not in known} <= set(left)
    assert left == [candidate for candidate in CANDIDATES if candidate in left], "in a fixed order"
