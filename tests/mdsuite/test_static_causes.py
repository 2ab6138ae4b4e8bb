"""A failed check names a cause, unless another failure brings it about by itself."""

import pytest

from mdsuite.judgement.criteria import Criterion
from mdsuite.judgement.judge import Judged, judge
from mdsuite.judgement.static_causes import static_causes
from mdsuite_analysis.measurement import Measurement


def found(**values: float) -> list[Judged]:
    """Verdicts on measurements that may be at most one."""
    return [
        judge(
            Criterion(measurement=name, label=name, unit="1", source="test", remedy="none", high=1.0),
            Measurement(name=name, value=value, unit="1", subject={"structure": "argon"}),
            {},
        )
        for name, value in values.items()
    ]


@pytest.mark.parametrize(
    ("values", "causes"),
    [
        ({"force_energy_consistency": 0.5}, []),
        ({"force_energy_consistency": 2.0}, ["non_conservative_forces"]),
        ({"force_energy_consistency": 2.0, "virial_consistency": 9.0}, ["non_conservative_forces"]),
        ({"virial_consistency": 9.0}, ["virial_inconsistent"]),
        ({"history_force": 9.0}, ["stale_neighbour_list"]),
        ({"history_force": 9.0, "repeatability_force": 8.0}, ["nondeterminism"]),
        ({"history_force": 90.0, "repeatability_force": 8.0}, ["nondeterminism", "stale_neighbour_list"]),
        ({"repeatability_force": 8.0, "rotation_force_spread": 3.0, "effective_digits": 3.0}, ["nondeterminism"]),
        ({"effective_digits": 3.0, "rotation_force_spread": 3.0, "cutoff_force_jump": 2.0}, ["precision"]),
        ({"effective_digits": 3.0, "cutoff_energy_jump": 2.0}, ["precision", "cutoff_discontinuity"]),
        ({"rotation_force_spread": 3.0}, ["not_rotation_invariant"]),
    ],
)
def test_what_follows_from_another_failure_is_no_cause_of_its_own(values: dict[str, float], causes: list[str]):
    assert [each.name for each in static_causes(found(**values))] == causes


def test_a_cause_carries_its_evidence_and_its_number():
    (cause,) = static_causes(found(cutoff_energy_jump=7.0, cutoff_force_jump=3.0))
    assert cause.evidence == ("cutoff_energy_jump", "cutoff_force_jump")
    assert "7" in cause.sentence
