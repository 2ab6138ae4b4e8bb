"""Errors of forces: of components and of magnitudes, and intervals that hold what they promise."""

import numpy as np
import pytest

from mdsuite_analysis.force_accuracy import Compared, force_accuracy
from mdsuite_analysis.measurement import Measurement

METHANE = np.array([6, 1, 1, 1, 1])


def frame(reference, predicted, *, structure="methane", numbers=METHANE, energies=(None, 0.0)) -> Compared:
    return Compared(
        structure=structure,
        numbers=numbers,
        reference=np.asarray(reference, dtype=float),
        predicted=np.asarray(predicted, dtype=float),
        reference_energy=energies[0],
        predicted_energy=energies[1],
    )


def noisy(n_frames: int, noise: float, seed: int = 0, structure: str = "methane") -> list[Compared]:
    rng = np.random.default_rng(seed)
    forces = rng.normal(size=(n_frames, 5, 3))
    return [frame(each, each + noise * rng.normal(size=(5, 3)), structure=structure) for each in forces]


def named(frames, **subject) -> dict[str, Measurement]:
    return {each.name: each for each in force_accuracy(frames) if dict(each.subject) == subject}


def test_the_same_forces_have_no_error():
    found = named([frame(np.eye(5, 3), np.eye(5, 3))] * 2)
    assert {found[name].value for name in ("force_rmse_component", "force_error_max", "force_angle_mean")} == {0.0}
    assert found["force_r2_component"].value == found["force_r2_magnitude"].value == 1.0


def test_components_and_magnitudes_are_told_apart():
    reference = np.tile([1.0, 0.0, 0.0], (5, 1)) * np.arange(1, 6)[:, None]
    turned = reference[:, [1, 0, 2]]
    found = named([frame(reference, turned)])
    assert found["force_r2_magnitude"].value == 1.0
    assert found["force_r2_component"].value < 0.0
    assert found["force_angle_mean"].value == pytest.approx(90.0)


def test_numbers_are_those_of_the_textbook():
    frames = noisy(50, 0.1)
    reference = np.concatenate([each.reference for each in frames])
    error = np.concatenate([each.predicted for each in frames]) - reference
    found = named(frames)
    assert found["force_rmse_component"].value == pytest.approx(1e3 * np.sqrt((error**2).mean()))
    assert found["force_mae_component"].value == pytest.approx(1e3 * np.abs(error).mean())
    assert found["force_r2_component"].value == pytest.approx(
        1 - (error**2).sum() / ((reference**2).sum() - reference.sum() ** 2 / reference.size)
    )
    assert found["force_error_p95"].value == pytest.approx(1e3 * np.quantile(np.linalg.norm(error, axis=1), 0.95))


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(100):
        found = named(noisy(60, 0.1, seed))["force_rmse_component"]
        assert found.ci is not None
        held += found.ci[0] <= 100.0 <= found.ci[1]
    assert 88 <= held <= 99


def test_molecules_are_drawn_whole_where_there_are_enough():
    rng = np.random.default_rng(0)
    frames = [each for k in range(12) for each in noisy(20, 10.0 ** rng.normal(-1, 0.3), k, f"m{k}")]
    apart = [frame(each.reference, each.predicted) for each in frames]
    by_molecule, by_frame = (named(of)["force_rmse_component"].ci for of in (frames, apart))
    assert by_molecule is not None
    assert by_frame is not None
    assert by_molecule[1] - by_molecule[0] > 3.0 * (by_frame[1] - by_frame[0])


def test_one_frame_has_no_interval():
    assert named(noisy(1, 0.1))["force_rmse_component"].ci is None


def test_an_element_that_is_wrong_is_told_apart():
    rng = np.random.default_rng(0)
    forces = rng.normal(size=(20, 5, 3))
    wrong = forces + np.where(METHANE == 6, 1.0, 0.0)[:, None]
    frames = [frame(r, p) for r, p in zip(forces, wrong, strict=True)]
    assert named(frames, element="C")["force_mae_component"].value == pytest.approx(1000.0)
    assert named(frames, element="H")["force_mae_component"].value == 0.0


def test_a_structure_that_is_wrong_is_told_apart():
    frames = noisy(10, 0.01, structure="good") + noisy(10, 1.0, structure="bad")
    good, bad = (named(frames, structure=each)["force_rmse_component"].value for each in ("good", "bad"))
    assert bad > 50 * good


def test_small_forces_have_no_direction():
    reference = np.full((5, 3), 0.01)
    found = named([frame(reference, -reference)])["force_angle_mean"]
    assert np.isnan(found.value)
    assert "no force of the reference is above 0.1" in found.note


def test_an_energy_zero_of_its_own_is_no_error():
    frames = [frame(np.eye(5, 3), np.eye(5, 3), energies=(-10.0 + 0.01 * k, -500.0 + 0.01 * k)) for k in range(4)]
    found = named(frames)
    assert found["energy_mae"].value == pytest.approx(98e3)
    assert found["energy_mae_shifted"].value == pytest.approx(0.0, abs=1e-9)


def test_without_energies_none_are_compared():
    assert "energy_mae" not in named(noisy(3, 0.1))


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([], "got none"),
        ([frame(np.ones((4, 3)), np.ones((5, 3)))], r"shape \(5, 3\) for methane"),
        ([frame(np.full((5, 3), np.nan), np.ones((5, 3)))], "finite forces for methane"),
    ],
)
def test_what_cannot_be_compared_is_refused(frames: list[Compared], said: str):
    with pytest.raises(ValueError, match=said):
        force_accuracy(frames)
