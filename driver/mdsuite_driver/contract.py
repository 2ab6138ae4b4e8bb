"""What every model must keep to, as tests: for mdsuite's own models and for those of other packages.

A model that is registered as an entry point of the group ``mdsuite.models``, or any other source, is tested by

    from mdsuite_driver.contract import ModelContract

    class TestMine(ModelContract):
        source = "mine:weights.pt"
        structure = "start.extxyz"

and pytest. The contract is of the protocol: whether a model is good, ``mdsuite check`` and ``mdsuite run`` say.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import ase.io
import numpy as np

from mdsuite_driver.models.load import load
from mdsuite_driver.models.protocol import Configuration, Evaluation, Model, ModelCard, ModelError

STEP = 1e-3  # Å, and strain
ABSENT = 118  # oganesson, which no model knows

_LOADED: dict[str, Model] = {}


class ModelContract:
    """Tests of one model on one structure, which should have a cell where the model is periodic.

    source : as ``mdsuite run --model`` takes it
    structure : a file that ASE reads, of elements that the model knows
    accuracy : of finite differences of the energy, relative to the largest force; coarser where it is single precision
    """

    source: ClassVar[str]
    structure: ClassVar[str]
    accuracy: ClassVar[float] = 1e-4

    @property
    def model(self) -> Model:
        """Loaded once for all tests of a class."""
        if self.source not in _LOADED:
            _LOADED[self.source] = load(self.source, trust=True)
        return _LOADED[self.source]

    @property
    def atoms(self) -> Any:  # ase is untyped
        """The structure, its atoms moved a little off their places."""
        atoms = ase.io.read(self.structure)
        atoms.rattle(0.02, seed=1)
        return atoms

    def asked(self, atoms: Any) -> Evaluation:
        """The model's answer."""
        return self.model.evaluate(_configuration(atoms))

    def test_the_card_says_what_the_model_is(self) -> None:
        """Name, kind and hash are told; what is unknown is None, and not invented."""
        card = self.model.card
        assert isinstance(card, ModelCard)
        assert card.name
        assert card.kind
        assert len(card.sha256) == 64
        assert card.cutoff is None or card.cutoff > 0.0

    def test_an_answer_has_its_shapes_in_double_precision(self) -> None:
        """Whatever a model computes in, it answers in float64."""
        answer = self.asked(self.atoms)
        n_atoms = len(self.atoms)
        assert isinstance(answer.energy, float)
        assert (answer.forces.shape, answer.virial.shape) == ((n_atoms, 3), (3, 3))
        assert answer.forces.dtype == answer.virial.dtype == np.float64
        assert np.isfinite(answer.energy)
        assert np.isfinite(answer.forces).all()
        assert np.allclose(answer.virial, answer.virial.T)

    def test_the_question_is_left_as_it_is(self) -> None:
        """An engine's arrays are not the model's to change."""
        asked = _configuration(self.atoms)
        before = [np.array(each) for each in (asked.numbers, asked.positions, asked.cell)]
        self.model.evaluate(asked)
        after = (asked.numbers, asked.positions, asked.cell)
        assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))

    def test_an_answer_is_not_changed_by_the_next_question(self) -> None:
        """An engine may keep it."""
        first = self.asked(self.atoms)
        kept = first.forces.copy()
        moved = self.atoms
        moved.positions += 0.1 * np.random.default_rng(0).standard_normal(moved.positions.shape)
        self.asked(moved)
        assert np.array_equal(first.forces, kept)

    def test_the_same_question_has_the_same_answer(self) -> None:
        """Within rounding; to the bit, ``mdsuite check`` asks."""
        answers = [self.asked(self.atoms) for _ in range(2)]
        size = np.abs(answers[0].forces).max()
        assert np.allclose(answers[0].forces, answers[1].forces, atol=1e-4 * size)

    def test_forces_are_in_the_units_of_the_energy(self) -> None:
        """Along their own direction, to within tenths: a model need not be conservative, but eV and Å are meant."""
        forces = self.asked(self.atoms).forces
        ends = []
        for sign in (-1.0, 1.0):
            moved = self.atoms
            moved.positions += sign * STEP * forces / np.abs(forces).max()
            ends.append(self.asked(moved).energy)
        along = float((forces**2).sum() / np.abs(forces).max())
        slack = 0.0 if self.model.card.conservative else 0.2
        assert abs(-(ends[1] - ends[0]) / (2.0 * STEP) - along) <= (slack + 10.0 * self.accuracy) * along

    def test_the_virial_is_the_derivative_by_the_strain(self) -> None:
        """-dE/d(strain), of a periodic structure; one that is not has the sum of r⊗f."""
        atoms = self.atoms
        if not atoms.pbc.any() or self.model.card.conservative is False:
            return
        answer = self.asked(atoms)
        strain = np.array([[0.6, 0.4, -0.3], [0.4, -0.2, 0.5], [-0.3, 0.5, 0.3]])  # every component, none like another
        ends = []
        for sign in (-1.0, 1.0):
            strained = atoms.copy()
            strained.set_cell(atoms.cell[:] @ (np.eye(3) + sign * STEP * strain), scale_atoms=True)
            ends.append(self.asked(strained).energy)
        slope = -(ends[1] - ends[0]) / (2.0 * STEP)
        size = max(float(np.abs(answer.virial).max()), float(np.abs(answer.forces).max()))
        assert abs(slope - float((answer.virial * strain).sum())) <= 10.0 * self.accuracy * size

    def test_unknown_elements_are_refused(self) -> None:
        """With a ModelError, where the card says which are known."""
        if self.model.card.species is None:
            return
        atoms = self.atoms
        atoms.numbers[0] = ABSENT
        self._refused(_configuration(atoms))

    def test_a_periodic_structure_is_refused_by_a_model_that_is_not(self) -> None:
        """With a ModelError, and not taken for a molecule."""
        if self.model.card.periodic:
            return
        configuration = _configuration(self.atoms)
        self._refused(dataclasses.replace(configuration, cell=30.0 * np.eye(3), pbc=(True, True, True)))

    def _refused(self, configuration: Configuration) -> None:
        try:
            self.model.evaluate(configuration)
        except ModelError:
            return
        raise AssertionError(f"{self.source} answered where it must raise ModelError")


def _configuration(atoms: Any) -> Configuration:
    first, second, third = (bool(each) for each in atoms.pbc)
    return Configuration(
        numbers=np.array(atoms.numbers, dtype=np.int64),
        positions=np.array(atoms.positions, dtype=float),
        cell=np.array(atoms.cell[:], dtype=float),
        pbc=(first, second, third),
    )
