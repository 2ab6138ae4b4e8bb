"""What must not be integrated is refused, whatever is wrong with it, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mdsuite_driver.models.protocol import Evaluation, FloatArray
from mdsuite_driver.soundness import (
    AsymmetricVirialError,
    HugeForceError,
    NotFiniteError,
    UnsoundError,
    WrongShapeError,
    require_sound,
)

N_ATOMS = 7
NOT_FINITE = (np.nan, np.inf, -np.inf)


def evaluation(**changes: object) -> Evaluation:
    random = np.random.default_rng(0)
    virial = random.normal(size=(3, 3))
    values = {"energy": -1.0, "forces": random.normal(size=(N_ATOMS, 3)), "virial": virial + virial.T}
    return Evaluation(**{**values, **changes})


def changed(name: str, where: tuple[int, ...], value: float) -> Evaluation:
    array = np.array(getattr(evaluation(), name))
    array[where] = value
    return evaluation(**{name: array})


LIMITS = pytest.mark.parametrize("max_force", [None, 1000.0, 1e100])


@LIMITS
@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_number_that_is_not_finite_is_found_wherever_it_is(max_force: float | None, bad: float):
    forces = [changed("forces", (i, j), bad) for i in range(N_ATOMS) for j in range(3)]
    virials = [changed("virial", (i, j), bad) for i in range(3) for j in range(3)]
    for each in (evaluation(energy=bad), *forces, *virials):
        with pytest.raises(NotFiniteError):
            require_sound(each, N_ATOMS, max_force)


@pytest.mark.parametrize("atom", range(N_ATOMS))
@pytest.mark.parametrize("size", [1001.0, 1e154, 1e200, -1.7e308])
def test_a_force_beyond_the_limit_is_found_on_every_atom(atom: int, size: float):
    with pytest.raises(HugeForceError, match=f"force on atom {atom}"):
        require_sound(changed("forces", (atom, 1), size), N_ATOMS, 1000.0)


@pytest.mark.parametrize("cell", [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)])
@pytest.mark.parametrize("size", [10.0, 1e200, -1.7e308])
def test_a_virial_that_is_not_symmetric_is_found(cell: tuple[int, int], size: float):
    with pytest.raises(AsymmetricVirialError):
        require_sound(changed("virial", cell, size), N_ATOMS, 1000.0)


@pytest.mark.parametrize("wrong", [{"forces": np.zeros((N_ATOMS + 1, 3))}, {"virial": np.zeros(6)}])
def test_another_shape_is_found(wrong: dict[str, FloatArray]):
    with pytest.raises(WrongShapeError):
        require_sound(evaluation(**wrong), N_ATOMS)


@pytest.mark.parametrize(
    ("sound", "max_force"),
    [
        (evaluation, 1000.0),
        (lambda: evaluation(forces=np.full((N_ATOMS, 3), 500.0)), 1000.0),  # together beyond it, each below
        (lambda: evaluation(forces=np.full((N_ATOMS, 3), 1e200)), None),
        (lambda: evaluation(virial=np.full((3, 3), 1.7e308)), 1000.0),
        (lambda: evaluation(forces=np.zeros((N_ATOMS, 3), dtype=np.float32)), 1000.0),
        (lambda: evaluation(forces=np.asfortranarray(np.ones((N_ATOMS, 3)))), 1000.0),
    ],
)
def test_what_is_large_or_unusual_but_sound_is_not_refused(sound: Callable[[], Evaluation], max_force: float | None):
    try:
        require_sound(sound(), N_ATOMS, max_force)
    except UnsoundError as error:
        pytest.fail(str(error))
