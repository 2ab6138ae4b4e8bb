"""Memory, noise, precision, and every check as a caller runs them."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pair_potentials import (
    CUTOFF,
    Lagged,
    StaleList,
    changed,
    cluster,
    crystal,
    curled,
    noisy,
    pairwise,
    rounded,
    switched,
)

from mdsuite_analysis.potential import Evaluation
from mdsuite_analysis.statics.every import CHECKS
from mdsuite_analysis.statics.precision import precision
from mdsuite_analysis.statics.repeat import history, input_mutated, repeatability

FRAMES = [cluster(), crystal()]
LIMIT = 1e-4


def values(found):
    return {each.name: each.value for each in found}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_sound_potential_repeats_itself_whatever_it_was_asked_before(frame):
    assert set(values([*repeatability(pairwise(), frame), *history(pairwise(), frame)]).values()) == {0.0}


def test_noise_is_not_repeatable():
    found = values(repeatability(noisy(pairwise(), energy=1e-3, force=1e-3), cluster()))
    assert found["repeatability_energy"] > LIMIT and found["repeatability_force"] > LIMIT


def test_noise_is_not_taken_for_memory():
    assert all(
        each.ci[0] < LIMIT < each.ci[1] for each in history(noisy(pairwise(), energy=1e-3, force=1e-3), cluster())
    )


def test_a_kept_answer_does_not_hide_noise():
    class Cached:
        def __init__(self, potential):
            self.potential, self.positions, self.answer = potential, None, None

        def __call__(self, configuration):
            if self.positions is None or not np.array_equal(self.positions, configuration.positions):
                self.positions, self.answer = configuration.positions.copy(), self.potential(configuration)
            return self.answer

    assert values(repeatability(Cached(noisy(pairwise(), energy=1e-3)), cluster()))["repeatability_energy"] > LIMIT


@pytest.mark.parametrize("frame", FRAMES)
def test_forces_of_the_frame_before_are_flagged(frame):
    assert values(history(Lagged(pairwise()), frame))["history_force"] > LIMIT


def test_memory_is_not_taken_for_noise():
    assert values(repeatability(Lagged(pairwise()), cluster()))["repeatability_force"] == 0.0


@pytest.mark.parametrize("frame", FRAMES)
def test_a_stale_list_of_neighbours_is_flagged_and_one_kept_in_time_is_not(frame):
    stale = values(history(StaleList(skin=0.3, patience=1.0), frame))
    assert stale["history_energy"] > LIMIT and stale["history_force"] > LIMIT
    kept = values(history(StaleList(skin=1.0, patience=0.5), frame))
    assert kept["history_energy"] < 1e-9 and kept["history_force"] < 1e-9


def test_an_answer_that_depends_on_the_number_of_calls_is_flagged():
    class Drifting:
        n = 0

        def __call__(self, configuration):
            self.n += 1
            e = pairwise()(configuration)
            return replace(e, energy=e.energy + 1e-5 * self.n)

    assert values(history(Drifting(), cluster()))["history_energy"] > LIMIT


def test_a_first_answer_that_is_another_is_flagged():
    class Starting:
        asked = False

        def __call__(self, configuration):
            e = pairwise()(configuration)
            wrong, self.asked = not self.asked, True
            return replace(e, energy=e.energy + 0.1) if wrong else e

    assert values(CHECKS[0].measure(Starting(), cluster(), None, 0))["history_energy"] == pytest.approx(0.1)


def test_changed_inputs_are_counted():
    def wrapping(configuration):
        e = pairwise()(configuration)
        configuration.positions[:] -= configuration.positions.mean(axis=0)
        return e

    found = input_mutated(wrapping, cluster())
    assert found.value == 1.0 and found.note == "positions"
    assert input_mutated(pairwise(), cluster()).value == 0.0


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("dtype", "looks", "fewest", "most"),
    [
        (np.float64, "double precision", 11.0, 17.0),
        (np.float32, "single precision", 4.5, 8.0),
        (np.float16, "half precision", 0.0, 4.0),
    ],
)
def test_the_arithmetic_is_told_from_its_digits(frame, dtype, looks, fewest, most):
    digits = precision(rounded(pairwise(), dtype), frame)[1]
    assert fewest < digits.value < most and looks in digits.note


def test_the_resolution_is_the_noise_of_the_energy():
    resolution, _ = precision(noisy(pairwise(), energy=1e-3), cluster())
    assert resolution.value == pytest.approx(1e-3, rel=0.3)
    assert resolution.ci[0] < 1e-3 < resolution.ci[1]


def test_bends_of_a_curve_are_not_taken_for_lost_digits():
    def bent(r):
        e, de = switched(r)
        beyond = np.maximum(3.0 - r, 0.0)
        return e + 0.01 * beyond**2, de - 0.02 * beyond

    assert precision(pairwise(bent), crystal())[1].value > 10.0


def test_digits_do_not_depend_on_the_zero_of_energy():
    one, other = (precision(rounded(pairwise(offset=e), np.float32), cluster())[1].value for e in (0.0, -1000.0))
    assert one == pytest.approx(other)


CRITERIA = tomllib.loads((Path(__file__).parents[2] / "inputs/criteria/static.toml").read_text())["criteria"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sound_potential_meets_every_criterion_in_its_unit(dtype):
    potential = rounded(pairwise(), dtype)
    found = [each for check in CHECKS for each in check.measure(potential, crystal(), CUTOFF, 0)]
    for criterion in (each for each in CRITERIA if each.get("declared", "") in ("", np.dtype(dtype).name)):
        of_it = [each for each in found if each.name == criterion["measurement"]]
        assert of_it or criterion["measurement"] in ("net_torque", "driver_parity", "unrepeated_failures")
        for each in of_it:
            low, high = each.ci or (each.value, each.value)
            assert criterion.get("low", -np.inf) <= low <= high <= criterion.get("high", np.inf), each
            assert each.unit == criterion["unit"]


def test_a_name_has_one_unit_and_every_check_measures_something():
    units = {}
    for check in CHECKS:
        found = list(check.measure(pairwise(), crystal(), None, 0))
        assert found and all(np.isfinite(each.value) for each in found)
        assert all(units.setdefault(each.name, each.unit) == each.unit for each in found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_of_a_potential_that_refuses_is_not_run(check):
    def refusing(_):
        raise MemoryError("out of memory")

    found = list(check.measure(refusing, cluster(), CUTOFF, 0))
    assert found and all(np.isnan(each.value) and each.note.startswith("not run: ") for each in found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_of_a_potential_that_answers_nan_is_nan(check):
    broken = changed(
        pairwise(), lambda _, e: Evaluation(energy=np.nan, forces=e.forces * np.nan, virial=e.virial * np.nan)
    )
    found = list(check.measure(broken, cluster(), CUTOFF, 0))
    assert found and all(np.isnan(each.value) and "not finite" in each.note for each in found)


def test_the_same_seed_gives_the_same_measurements():
    one, other = ([each.value for each in CHECKS[3].measure(curled(pairwise(), 0.1), cluster(), None, 5)] for _ in "ab")
    assert one == other
