"""A failed check names a cause, unless another failure brings it about by itself."""

import math

import pytest

from mdsuite.judgement.criteria import Criterion
from mdsuite.judgement.judge import Judged, judge
from mdsuite.judgement.static_causes import static_causes
from mdsuite.judgement.units import mixed_units
from mdsuite_analysis.measurement import Measurement


def found(**values: float) -> list[Judged]:
    """Verdicts on measurements that may be at most one."""
    return [
        judge(
            Criterion(measurement=name, label=name, unit="1", source="test", remedy="none", high=1.0),
            Measurement(name=name, value=value, unit="1", ci=(value, value), subject={"structure": "argon"}),
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
        ({"force_energy_consistency": 2.0, "force_energy_factor": 1.7}, ["non_conservative_forces"]),
        ({"force_energy_consistency": 20.0, "force_energy_factor": 23.06}, ["unit_mismatch"]),
        (
            {"force_energy_consistency": 20.0, "force_energy_factor": 23.06, "loop_work": 3.0},
            ["unit_mismatch", "non_conservative_forces"],
        ),
        ({"reflection_energy_spread": 3.0}, []),
        ({"force_energy_consistency": math.nan}, []),
        ({"reflection_energy_spread": 3.0, "rotation_energy_spread": 3.0}, ["not_rotation_invariant"]),
        ({"permutation_energy_spread": 3.0, "locality_error": 3.0}, ["not_permutation_invariant"]),
        ({"locality_error": 3.0}, ["not_extensive"]),
        ({"history_force": 9.0, "effective_digits": 3.0, "cutoff_energy_jump": 2.0}, ["stale_neighbour_list"]),
        ({"history_energy": 9.0, "force_energy_consistency": 3.0, "loop_work": 2.0}, ["stale_neighbour_list"]),
        (
            {"history_force": 9.0, "force_energy_consistency": 3.0},
            ["stale_neighbour_list", "non_conservative_forces"],
        ),
        ({"input_mutated": 2.0, "loop_work": 2.0}, ["stale_neighbour_list", "non_conservative_forces"]),
        ({"driver_parity": 3.0}, ["engine_mismatch"]),
        ({"unrepeated_failures": 2.0}, ["nondeterminism"]),
        ({"unrepeated_failures": 2.0, "loop_work": 3.0}, ["nondeterminism"]),
        ({"unrepeated_failures": 2.0, "history_force": 9.0}, ["stale_neighbour_list"]),
        ({"driver_parity": 3.0, "repeatability_force": 8.0}, ["nondeterminism"]),
        ({"driver_parity": 3.0, "history_energy": 8.0}, ["stale_neighbour_list"]),
    ],
)
def test_what_follows_from_another_failure_is_no_cause_of_its_own(values: dict[str, float], causes: list[str]):
    assert [each.name for each in static_causes(found(**values))] == causes


def test_a_cause_carries_its_evidence_and_its_number():
    (cause,) = static_causes(found(cutoff_energy_jump=7.0, cutoff_force_jump=3.0))
    assert cause.evidence == ("cutoff_energy_jump", "cutoff_force_jump")
    assert "7" in cause.sentence


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (0.0433641, "energies in kcal/mol and forces in eV/Å"),
        (0.529177, "energies in eV and forces in eV/Bohr"),
        (0.0194469, "energies in eV and forces in Hartree/Bohr"),
        (27.2114, "energies in Hartree and forces in eV/Å"),
        (1.889726, "energies in eV and forces in eV/Å, of positions in Bohr"),
        (4.184, "energies in kcal/mol and forces in kJ/mol/Å"),
        (2.0, None),
        (1.0, None),
        (0.5, None),
        (-1.0, None),
        (0.0433641 * 1.01, None),
    ],
)
def test_units_are_told_by_their_ratio(factor: float, said: str | None):
    assert mixed_units(measured(factor, 1e-5)) == said


def test_what_scatters_is_no_ratio_of_units():
    assert mixed_units(measured(0.0433641, 0.1)) is None


def measured(factor: float, width: float) -> Measurement:
    half = width * abs(factor)
    return Measurement(name="force_energy_factor", value=factor, unit="1", ci=(factor - half, factor + half))
