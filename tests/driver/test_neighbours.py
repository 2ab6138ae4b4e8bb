"""Pairs that are kept while atoms move are those that are found anew, to the bit, whatever was asked before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from test_ace import binary
from test_ace import model as random_ace
from test_painn import of, random_model, silicon

from mdsuite_driver.models import neighbours
from mdsuite_driver.models.load import load
from mdsuite_driver.models.neighbours import MARGIN, Neighbours, pairs_within, vectors_within
from mdsuite_driver.models.protocol import Configuration, FloatArray, Model

CUTOFF, SKIN = 3.0, 0.8
EDGES = {"wide": 9.0, "thinner than two cut-offs": 5.0, "thinner than the cut-off": 2.2}
TILT = np.array([[0.0, 0.0, 0.0], [0.3, 0.0, 0.0], [-0.2, 0.25, 0.0]])

Step = Callable[[Any, Configuration], Configuration]
"""From a source of random numbers and a configuration to the next, whose positions may be the same array."""


def moved(here: Configuration, by: object) -> Configuration:
    """In place, as an engine may."""
    here.positions[...] += by
    return here


def one(random: Any, here: Configuration) -> Any:
    """A mask (n_atoms, 1) of one atom."""
    return (np.arange(len(here.positions)) == random.integers(len(here.positions)))[:, None]


def towards(random: Any, here: Configuration) -> Configuration:
    """Two atoms as far apart as is not a candidate any more come nearer, each by all that it is allowed."""
    if len(here.positions) < 2:
        return here
    axis = random.normal(size=3)
    axis /= np.linalg.norm(axis)
    first, second = here.positions[:2]
    second[...] = first + (CUTOFF + SKIN + 2 * MARGIN) * axis
    return here


def lattice(random: Any, here: Configuration) -> Configuration:
    return moved(here, (random.integers(-1, 2, size=here.positions.shape) * here.pbc) @ here.cell)


def strained(random: Any, here: Configuration) -> Configuration:
    return dataclasses.replace(here, cell=here.cell @ (np.eye(3) + random.normal(scale=1e-3, size=(3, 3))))


def other_pbc(random: Any, here: Configuration) -> Configuration:
    first, second, third = (bool(each) for each in random.integers(0, 2, size=3))
    return dataclasses.replace(here, pbc=(first, second, third))


def fewer(random: Any, here: Configuration) -> Configuration:
    kept = slice(max(1, len(here.positions) - 1))
    return dataclasses.replace(here, numbers=here.numbers[kept], positions=here.positions[kept].copy())


STEPS: dict[str, Step] = {
    "again": lambda _, here: here,
    "a little": lambda random, here: moved(here, random.normal(scale=0.02, size=here.positions.shape)),
    "more": lambda random, here: moved(here, random.normal(scale=0.2, size=here.positions.shape)),
    "one atom jumps": lambda random, here: moved(here, one(random, here) * random.normal(scale=3.0, size=3)),
    "two atoms as far as may be": towards,
    "inwards": lambda random, here: moved(here, random.uniform(0.3, 0.7) * SKIN * inwards(here)),
    "by the lattice": lattice,
    "all together": lambda random, here: moved(here, random.normal(scale=5.0, size=3)),
    "the cell": strained,
    "the boundaries": other_pbc,
    "the elements": lambda random, here: dataclasses.replace(here, numbers=random.permutation(here.numbers)),
    "an atom less": fewer,
}


def inwards(here: Configuration) -> Any:
    """Unit vectors (n_atoms, 3) from the first two atoms to one another."""
    along = here.positions[1 % len(here.positions)] - here.positions[0]
    unit = along / (np.linalg.norm(along) or 1.0)
    place = np.arange(len(here.positions))[:, None]
    return np.where(place == 0, unit, np.where(place == 1, -unit, 0.0))


@dataclass(frozen=True)
class Walk:
    """Configurations that follow one another."""

    seed: int
    n_atoms: int
    edge: float
    tilted: bool
    pbc: tuple[bool, bool, bool]
    steps: list[str]

    def __iter__(self) -> Iterator[Configuration]:
        random = np.random.default_rng(self.seed)
        cell = self.edge * (np.eye(3) + (TILT if self.tilted else 0.0))
        positions = random.uniform(-0.5, 1.5, size=(self.n_atoms, 3)) @ cell
        numbers = random.choice([8, 14], self.n_atoms)
        here = Configuration(numbers=numbers, positions=positions, cell=cell, pbc=self.pbc)
        yield here
        for step in self.steps:
            here = STEPS[step](random, here)
            yield here


walks = st.builds(
    Walk,
    seed=st.integers(0, 2**31),
    n_atoms=st.integers(1, 12),
    edge=st.sampled_from(list(EDGES.values())),
    tilted=st.booleans(),
    pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    steps=st.lists(st.sampled_from(list(STEPS)), min_size=2, max_size=12),
)


def is_led_astray(walk: Walk) -> bool:
    """Whether pairs that were kept are other ones than those found anew."""
    kept = Neighbours(CUTOFF, SKIN)
    return any(not same(kept.vectors_within(here), vectors_within(here, CUTOFF)) for here in walk)


def same(ours: Any, theirs: Any) -> bool:
    return all(a.tobytes() == b.tobytes() for a, b in zip(ours, theirs, strict=True))


@settings(deadline=None, derandomize=True, max_examples=500)
@given(walks)
def test_what_is_kept_is_what_is_found_anew(walk: Walk):
    assert not is_led_astray(walk)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(walks)
def test_forces_and_virial_are_those_of_the_pairs(walk: Walk):
    kept, random = Neighbours(CUTOFF, SKIN), np.random.default_rng(walk.seed)
    for here in walk:
        pairs, n_atoms = kept.vectors_within(here), len(here.numbers)
        gradient = random.normal(size=pairs[2].shape)
        ours, forces = kept.collected(0.0, n_atoms, pairs, gradient), np.zeros((n_atoms, 3))
        for i, j, slope in zip(*pairs[:2], gradient, strict=True):
            forces[i] += slope
            forces[j] -= slope
        np.testing.assert_allclose(ours.forces, forces, rtol=0, atol=1e-12)
        product = np.einsum("pi,pj", pairs[2], gradient)
        np.testing.assert_allclose(ours.virial, -0.5 * (product + product.T), rtol=0, atol=1e-11)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.lists(walks, min_size=2, max_size=3))
def test_several_beside_each_other_have_the_pairs_of_each(several: list[Walk]):
    kept = Neighbours(CUTOFF, SKIN)
    for here in zip(*several, strict=False):
        first = np.cumsum([0, *(len(each.numbers) for each in here)])
        alone = [vectors_within(each, CUTOFF) for each in here]
        theirs = [
            np.concatenate([i + begun for (i, _, _), begun in zip(alone, first, strict=False)]),
            np.concatenate([j + begun for (_, j, _), begun in zip(alone, first, strict=False)]),
            np.concatenate([vectors for _, _, vectors in alone]),
        ]
        assert same(kept.vectors_beside(here), theirs)


def allowing(share: float) -> Callable[..., bool]:
    """A share of the skin to every atom."""
    return lambda self, of, here: self.is_of(of) and farthest(self, here) <= share * self.skin


def farthest(self: Any, here: FloatArray) -> float:
    return float(np.linalg.norm(here - self.positions, axis=1).max())


def a_mean(self: Any, of: Sequence[Configuration], here: FloatArray) -> bool:
    return self.is_of(of) and np.linalg.norm(here - self.positions, axis=1).mean() <= 0.5 * self.skin


def any_cell(self: Any, of: Sequence[Configuration], here: FloatArray) -> bool:
    return (
        self.positions.shape == here.shape
        and self.pbc == tuple(each.pbc for each in of)
        and farthest(self, here) <= 0.5 * self.skin
    )


def any_boundaries(self: Any, of: Sequence[Configuration], here: FloatArray) -> bool:
    return (
        self.positions.shape == here.shape
        and self.cells == b"".join(each.cell.tobytes() for each in of)
        and farthest(self, here) <= 0.5 * self.skin
    )


DEFECTS = {
    "the whole skin is allowed": allowing(1.0),
    "a tenth too much is allowed": allowing(0.55),
    "the mean of all atoms is allowed half the skin": a_mean,
    "the cell may change": any_cell,
    "the boundaries may change": any_boundaries,
    "it is kept for ever": lambda self, of, _here: self.is_of(of),
}


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=DEFECTS)
def test_a_list_that_is_kept_too_long_is_caught(defect: Callable[..., bool], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbours._Candidates, "has_all", defect)
    assert led_astray()


def test_a_list_that_does_not_remember_where_atoms_were_is_caught(monkeypatch: pytest.MonkeyPatch):
    sound = neighbours._Candidates.of

    def forgetful(of: Sequence[Configuration], *told: float) -> Any:
        return dataclasses.replace(sound(of, *told), positions=of[0].positions)

    monkeypatch.setattr(neighbours._Candidates, "of", forgetful)
    assert led_astray()


def led_astray() -> bool:
    try:
        find(walks, is_led_astray, settings=settings(deadline=None, derandomize=True, max_examples=2000, database=None))
    except NoSuchExample:
        return False
    return True


def test_a_list_is_kept_at_all(monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    sound = neighbours._Candidates.of
    monkeypatch.setattr(neighbours._Candidates, "of", lambda *told: asked.append(told[-1]) or sound(*told))
    walk = Walk(seed=0, n_atoms=12, edge=9.0, tilted=True, pbc=(True, True, True), steps=["a little"] * 20)
    kept = Neighbours(CUTOFF, SKIN)
    assert [len(kept.vectors_within(here)[0]) > 0 for here in walk] == [True] * 21
    assert asked == [0.0, SKIN]


def test_a_cell_that_changes_each_time_has_no_skin(monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    sound = neighbours._Candidates.of
    monkeypatch.setattr(neighbours._Candidates, "of", lambda *told: asked.append(told[-1]) or sound(*told))
    walk = Walk(seed=0, n_atoms=12, edge=9.0, tilted=True, pbc=(True, True, True), steps=["the cell"] * 5)
    kept = Neighbours(CUTOFF, SKIN)
    for here in walk:
        kept.vectors_within(here)
    assert asked == [0.0] * 6


@settings(deadline=None, derandomize=True, max_examples=50)
@given(walks)
def test_pairs_are_in_an_order_of_their_own(walk: Walk):
    here = next(iter(walk))
    i, j, translations = pairs_within(here, CUTOFF)
    shifts = np.rint(translations @ np.linalg.inv(here.cell)).astype(int)
    assert [*zip(i, j, *shifts.T, strict=True)] == sorted(zip(i, j, *shifts.T, strict=True))


def test_a_pair_at_the_cut_off_is_outside():
    apart = np.array([[0.0, 0, 0], [0, 0, CUTOFF], [0, np.nextafter(CUTOFF, 0.0), 0]])
    here = Configuration(numbers=np.full(3, 14), positions=apart, cell=np.eye(3), pbc=(False,) * 3)
    assert [*zip(*pairs_within(here, CUTOFF)[:2], strict=True)] == [(0, 2), (2, 0)]


MODELS: dict[str, Callable[[], Model]] = {
    "PaiNN": random_model,
    "ACE": lambda: random_ace(binary()),
    "Stillinger-Weber": lambda: load("silicon-sw"),
}


@pytest.mark.parametrize("made", MODELS.values(), ids=MODELS)
def test_an_answer_does_not_depend_on_those_before(made: Callable[[], Model]):
    model, random = made(), np.random.default_rng(0)
    here = of(silicon())
    for step in ("a little", "more", "by the lattice", "again", "more", "the cell", "a little", "a little"):
        here = STEPS[step](random, here)
        ours, anew = model.evaluate(here), made().evaluate(here)
        assert (ours.energy, ours.forces.tobytes(), ours.virial.tobytes()) == (
            anew.energy,
            anew.forces.tobytes(),
            anew.virial.tobytes(),
        )
