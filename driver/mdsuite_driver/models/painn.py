"""PaiNN (Schütt, Unke & Gastegger 2021, arXiv:2102.03150) with energies that are smooth at the cut-off.

Filters are multiplied by the envelope after their bias, so every message vanishes at the cut-off together with its
first two derivatives; vectors are mixed over channels and never over Cartesian components. The first block, whose
vectors are zero, and the last, whose vectors nobody reads, leave out the weights that could not matter.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mdsuite_driver.models.batch import Batch, side_by_side
from mdsuite_driver.models.neighbours import Neighbours
from mdsuite_driver.models.pairwise import differentiated
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard, ModelError, require_known

FORMAT = "mdsuite-painn/1"
EPSILON = 1e-8  # under the root of a vector's norm, so that its derivative exists at zero
HIGHEST_Z = 118


@dataclass(frozen=True, slots=True, kw_only=True)
class PaiNNConfig:
    """Sizes of a PaiNN; species are atomic numbers, cutoff is in Å; raises ValueError for sizes that mean nothing."""

    species: tuple[int, ...]
    hidden: int
    n_interactions: int
    n_rbf: int
    cutoff: float

    def __post_init__(self) -> None:
        if not all(isinstance(z, int) and 1 <= z <= HIGHEST_Z for z in self.species):
            raise ValueError(f"wanted species as atomic numbers from 1 to {HIGHEST_Z}, got {self.species}")
        if len(set(self.species)) != len(self.species) or not self.species:
            raise ValueError(f"wanted one or more species, each once, got {self.species}")
        sizes = (self.hidden, self.n_interactions, self.n_rbf)
        if not all(isinstance(size, int) for size in sizes) or self.hidden < 2 or min(sizes) < 1:
            raise ValueError(f"wanted whole sizes of at least 2, 1 and 1, got hidden, n_interactions, n_rbf = {sizes}")
        if not (isinstance(self.cutoff, int | float) and 0 < self.cutoff < float("inf")):
            raise ValueError(f"wanted a positive finite cut-off in Å, got {self.cutoff!r}")


class _Message(nn.Module):
    def __init__(self, config: PaiNNConfig, *, first: bool) -> None:
        super().__init__()
        h = config.hidden
        self._n_gates = 2 if first else 3
        self.node = nn.Sequential(nn.Linear(h, h), nn.SiLU(), nn.Linear(h, self._n_gates * h))
        self.filter = nn.Linear(config.n_rbf, self._n_gates * h)

    def forward(
        self, s: Tensor, v: Tensor, i: Tensor, j: Tensor, basis: Tensor, envelope: Tensor, direction: Tensor
    ) -> tuple[Tensor, Tensor]:
        gates = (self.node(s)[j] * self.filter(basis) * envelope).chunk(self._n_gates, dim=-1)
        vectors = gates[1][:, None] * direction[:, :, None]
        if self._n_gates == 3:
            vectors = vectors + gates[2][:, None] * v[j]
        return s.index_add(0, i, gates[0]), v.index_add(0, i, vectors)


class _Update(nn.Module):
    def __init__(self, config: PaiNNConfig, *, last: bool) -> None:
        super().__init__()
        h = config.hidden
        self._n_gates = 2 if last else 3
        self._epsilon = EPSILON
        self.mix = nn.Linear(h, 2 * h, bias=False)
        self.node = nn.Sequential(nn.Linear(2 * h, h), nn.SiLU(), nn.Linear(h, self._n_gates * h))

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        u, w = self.mix(v).chunk(2, dim=-1)
        norm = torch.sqrt((w * w).sum(dim=1) + self._epsilon)
        gates = self.node(torch.cat([s, norm], dim=-1)).chunk(self._n_gates, dim=-1)
        s = s + gates[0] + gates[1] * (u * w).sum(dim=1)
        return s, v + gates[2][:, None] * u if self._n_gates == 3 else v


class PaiNN(nn.Module):
    """Energies of atoms; `reference` holds an energy for each element, eV.

    What `forward` needs are tensors and plain numbers, so that TorchScript, torch.export and torch.compile take it.
    """

    reference: Tensor
    index: Tensor
    frequency: Tensor

    def __init__(self, config: PaiNNConfig) -> None:
        super().__init__()
        self.config = config
        self._hidden, self._cutoff = config.hidden, float(config.cutoff)
        h, last = config.hidden, config.n_interactions - 1
        index = torch.full((HIGHEST_Z + 1,), -1)
        index[list(config.species)] = torch.arange(len(config.species))
        self.register_buffer("index", index, persistent=False)
        order = torch.arange(1, config.n_rbf + 1, dtype=torch.float64)
        self.register_buffer("frequency", torch.pi * order / self._cutoff, persistent=False)
        self.register_buffer("reference", torch.zeros(len(config.species), dtype=torch.float64))
        self.embedding = nn.Embedding(len(config.species), h)
        self.messages = nn.ModuleList(_Message(config, first=k == 0) for k in range(last + 1))
        self.updates = nn.ModuleList(_Update(config, last=k == last) for k in range(last + 1))
        self.readout = nn.Sequential(nn.Linear(h, h // 2), nn.SiLU(), nn.Linear(h // 2, 1))

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Energies (n_atoms,), eV, without the elements' reference energies.

        numbers : (n_atoms,) int
        i, j : (n_pairs,) int, ordered pairs within the cut-off
        vectors : (n_pairs, 3) float, Å, from i to j
        """
        r = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        basis = torch.sin(self.frequency.to(r.dtype) * r) / r
        damping, direction = envelope(r / self._cutoff), vectors / r
        s = self.embedding(self.index[numbers])
        v = s.new_zeros(numbers.shape[0], 3, self._hidden)
        for message, update in zip(self.messages, self.updates):  # noqa: B905  TorchScript knows no strict
            s, v = message(s, v, i, j, basis, damping, direction)
            s, v = update(s, v)
        energies: Tensor = self.readout(s)[:, 0]
        return energies

    def reference_energies(self, numbers: Tensor) -> Tensor:
        """The elements' share of the energies (n_atoms,), eV, in float64."""
        return self.reference[self.index[numbers]]


def envelope(x: Tensor) -> Tensor:
    """1 - 28x⁶ + 48x⁷ - 21x⁸ below x = 1 and 0 beyond, twice differentiable (Gasteiger 2020, arXiv:2003.03123)."""
    inside = 1.0 + x**6 * (-28.0 + x * (48.0 - 21.0 * x))
    return torch.where(x < 1.0, inside, torch.zeros_like(x))


class PaiNNModel:
    """A PaiNN behind the protocol; computes in float64 whatever its weights were trained in."""

    def __init__(self, network: PaiNN, card: ModelCard) -> None:
        self._network = network.double().eval().requires_grad_(False)
        self._card = card
        self._neighbours = Neighbours(network.config.cutoff)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def network(self) -> PaiNN:
        """The network itself, in float64, for those who export it."""
        return self._network

    def batch(self) -> Batch:
        """Whom to ask for several configurations at once."""
        return side_by_side(self._network, self._card)

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial from one differentiation by the vectors between pairs.

        Raises ModelError for elements that the model was not made for.
        """
        require_known(configuration, self._network.config.species, self._card.name)
        numbers = torch.as_tensor(configuration.numbers)
        pairs = self._neighbours.vectors_within(configuration)
        evaluation = differentiated(
            len(numbers), pairs, lambda i, j, vectors: self._network(numbers, i, j, vectors).sum()
        )
        reference = float(self._network.reference_energies(numbers).sum())
        return dataclasses.replace(evaluation, energy=evaluation.energy + reference)


def checkpoint(network: PaiNN, training: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of a network: plain types and tensors, so that nothing has to be trusted to read it."""
    return {
        "format": FORMAT,
        "config": {**dataclasses.asdict(network.config), "species": list(network.config.species)},
        "state_dict": network.state_dict(),
        "training": dict(training),
    }


def load_painn(name: str, stored: Mapping[str, Any], sha256: str) -> PaiNNModel:
    """A model from `checkpoint`; raises ModelError where configuration and weights do not go together."""
    network = build_painn(name, stored)
    card = ModelCard(
        name=name,
        kind="PaiNN",
        dtype="float64",
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        species=network.config.species,
        cutoff=network.config.cutoff,
        conservative=True,
        periodic=True,
        sha256=sha256,
        minimum_width=_minimum_width(network.config.cutoff, stored.get("training", {})),
        origin=_origin(stored.get("training", {})),
    )
    return PaiNNModel(network, card)


def _minimum_width(cutoff: float, training: Mapping[str, Any]) -> float:
    """In cells thinner than the cut-off atoms meet their own images; Å, down to where some were trained on."""
    return min(cutoff, training.get("narrowest_cell_A") or cutoff)


def _origin(training: Mapping[str, Any]) -> str:
    """What a checkpoint tells of how it came about."""
    frames = training.get("frames", {}).get("train", "an unknown number of")
    if "labels" in training:
        files = ", ".join(f"{each['file']} (SHA-256 {each['sha256'][:12]}…)" for each in training["labels"])
        theory = training.get("level_of_theory") or "a level of theory that is not told"
        return f"Trained on {frames} frames labelled at {theory}, of {files}."
    if "teacher" not in training:
        return ""
    molecules = ", ".join(training.get("molecules", ())) or "molecules that are not told"
    return f"Distilled from {training['teacher']} on {frames} frames of {molecules}."


def build_painn(name: str, stored: Mapping[str, Any]) -> PaiNN:
    """The network of a checkpoint; raises ModelError where configuration and weights do not go together."""
    try:
        config = PaiNNConfig(**{**stored["config"], "species": tuple(stored["config"]["species"])})
        network = PaiNN(config)
        network.load_state_dict(stored["state_dict"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: configuration and weights of the PaiNN do not go together: {error}") from error
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise ModelError(f"{name}: some weights are not finite; get an intact checkpoint")
    return network
