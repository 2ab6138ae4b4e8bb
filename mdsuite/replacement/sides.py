"""Baseline and candidate, and what can be taken apart of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import ValidationError

from mdsuite.errors import InputError
from mdsuite.linear.recipe import LinearRecipe
from mdsuite_driver.models.ace.model import ACEModel
from mdsuite_driver.models.load import load, resolve
from mdsuite_driver.models.protocol import Model, ModelCard, ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """A linear model that can be fitted again.

    references : eV, energies of lone atoms by atomic number
    """

    model: ACEModel
    recipe: LinearRecipe
    references: dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two models; `linear` is None where it cannot be fitted again.

    others : further trainings of it, which differ in what a training draws
    """

    source: str
    model: Model
    linear: Linear | None
    others: tuple[Model, ...] = ()

    @property
    def card(self) -> ModelCard:
        """What is known of it."""
        return self.model.card

    @property
    def name(self) -> str:
        """What it is called."""
        return self.card.name

    @property
    def trainings(self) -> tuple[Model, ...]:
        """All of them, that which is asked about first."""
        return self.model, *self.others


def side(source: str, others: Sequence[str] = (), *, trust: bool) -> Side:
    """A model of any source with further trainings of it.

    Raises InputError for one that cannot be loaded, trainings of a model that is fitted anew, and such of other
    elements or cut-off.
    """
    model, *further = (_loaded(each, trust=trust) for each in (source, *others))
    linear = _linear(source, model)
    if linear and others:
        raise InputError(f"{model.card.name} is linear and fitted anew; further trainings are for models that are not")
    for each in further:
        if (each.card.species, each.card.cutoff) != (model.card.species, model.card.cutoff):
            raise InputError(
                f"{each.card.name} is of other elements or cut-off than {model.card.name} and is no training of it"
            )
        if each.card.sha256 == model.card.sha256:
            raise InputError(f"{each.card.name} has the weights of {model.card.name} and is no other training of it")
    return Side(source=source, model=model, linear=linear, others=tuple(further))


def _loaded(source: str, *, trust: bool) -> Model:
    try:
        return load(source, trust=trust)
    except ModelError as error:
        raise InputError(str(error)) from error


def require_comparable(baseline: Side, candidate: Side) -> None:
    """Raise InputError for models of different elements, and for linear ones of different cut-offs."""
    species = [each.card.species for each in (baseline, candidate)]
    if None not in species and set(species[0] or ()) != set(species[1] or ()):
        raise InputError(
            f"{baseline.name} is of the elements with Z = {list(species[0] or ())}, {candidate.name} of "
            f"{list(species[1] or ())}; a model can be replaced by one of the same elements"
        )
    if baseline.linear and candidate.linear and baseline.card.cutoff != candidate.card.cutoff:
        raise InputError(
            f"{baseline.name} is cut off at {baseline.card.cutoff:g} Å, {candidate.name} at "
            f"{candidate.card.cutoff:g} Å: no function of one is in the span of the other. Fit both with one cut-off"
        )


def _linear(source: str, model: Model) -> Linear | None:
    if not isinstance(model, ACEModel):
        return None
    training = torch.load(resolve(source), map_location="cpu", weights_only=True).get("training", {})
    if "recipe" not in training:
        return None
    try:
        recipe = LinearRecipe.model_validate_json(training["recipe"])
    except ValidationError as error:
        raise InputError(f"{source} does not hold the recipe that it says: {error}") from error
    species = model.network.basis.specification.species
    references = dict(zip(species, (float(each) for each in model.network.references), strict=True))
    return Linear(model=model, recipe=recipe, references=references)
