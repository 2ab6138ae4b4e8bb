"""The students of MLFF-Distiller, as they were trained, with their defects.

An invariant message (no node network), a Cartesian 3×3 mixing of vectors that is not rotation-equivariant, filters
that do not vanish at the cut-off because biases come after the envelope, and no lattice vectors.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from mdsuite_driver.models.batch import Batch, side_by_side
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelCard, ModelError

StateDict = Mapping[str, Tensor]
WRAPPER = "model."  # the distillation wrapper's prefix of every key


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Sizes of a student; cutoff in Å."""

    hidden: int
    n_interactions: int
    n_rbf: int
    cutoff: float
    max_z: int


class _Message(nn.Module):
    def __init__(self, hidden: int, n_rbf: int) -> None:
        super().__init__()
        self.rbf_to_scalar = nn.Sequential(nn.Linear(n_rbf, hidden), nn.SiLU(), nn.Linear(hidden, 3 * hidden))

    def forward(
        self, s: Tensor, v: Tensor, i: Tensor, j: Tensor, rbf: Tensor, direction: Tensor
    ) -> tuple[Tensor, Tensor]:
        gates = self.rbf_to_scalar(rbf).chunk(3, dim=-1)
        vectors = v[j] * gates[1][:, None] + direction[:, :, None] * gates[2][:, None]
        return s.index_add(0, i, s[j] * gates[0]), v.index_add(0, i, vectors)


class _Update(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.update_mlp = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.SiLU(), nn.Linear(hidden, 3 * hidden))
        self.mixing_matrix = nn.Parameter(torch.zeros(3, 3))

    def forward(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        # unpacked into names, TorchScript loses the gradient of the gates that the last block does not use
        gates = self.update_mlp(torch.cat([s, torch.norm(v, dim=1)], dim=-1)).chunk(3, dim=-1)
        mixed = torch.einsum("ij,njk->nik", self.mixing_matrix, v)
        return s + gates[0], v * gates[1][:, None] + mixed * gates[2][:, None]


class _Interaction(nn.Module):
    def __init__(self, hidden: int, n_rbf: int) -> None:
        super().__init__()
        self.message = _Message(hidden, n_rbf)
        self.update = _Update(hidden)

    def forward(
        self, s: Tensor, v: Tensor, i: Tensor, j: Tensor, rbf: Tensor, direction: Tensor
    ) -> tuple[Tensor, Tensor]:
        s, v = self.message(s, v, i, j, rbf, direction)
        updated: tuple[Tensor, Tensor] = self.update(s, v)
        return updated


class _RadialBasis(nn.Module):
    centers: Tensor
    widths: Tensor

    def __init__(self, n_rbf: int, cutoff: float) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(0, cutoff, n_rbf))
        self.register_buffer("widths", torch.full((n_rbf,), cutoff / n_rbf))

    def forward(self, distance: Tensor) -> Tensor:
        return torch.exp(-(((distance[:, None] - self.centers) / self.widths) ** 2))


class SeedStudent(nn.Module):
    """Energies of atoms, with the parameter names of MLFF-Distiller's checkpoints.

    What `forward` needs are tensors and plain numbers, so that TorchScript, torch.export and torch.compile take it.
    """

    def __init__(self, sizes: Hyperparameters) -> None:
        super().__init__()
        h = sizes.hidden
        self.cutoff = sizes.cutoff
        self.embedding = nn.Embedding(sizes.max_z + 1, h)
        self.rbf = _RadialBasis(sizes.n_rbf, sizes.cutoff)
        self.interactions = nn.ModuleList(_Interaction(h, sizes.n_rbf) for _ in range(sizes.n_interactions))
        self.energy_head = nn.Sequential(
            nn.Linear(h, h // 2), nn.SiLU(), nn.Linear(h // 2, h // 4), nn.SiLU(), nn.Linear(h // 4, 1)
        )

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Energies (n_atoms,), eV.

        numbers : (n_atoms,) int
        i, j : (n_pairs,) int, ordered pairs within the cut-off, where nothing vanishes
        vectors : (n_pairs, 3) float, Å, from i to j
        """
        distance = torch.norm(vectors, dim=1)
        direction = vectors / (distance[:, None] + 1e-8)
        envelope = 0.5 * (torch.cos(torch.pi * distance / self.cutoff) + 1)
        rbf = self.rbf(distance) * envelope[:, None]
        s = self.embedding(numbers)
        v = s.new_zeros(numbers.shape[0], 3, s.shape[1])
        for block in self.interactions:
            s, v = block(s, v, i, j, rbf, direction)
        energies: Tensor = self.energy_head(s)[:, 0]
        return energies

    def reference_energies(self, numbers: Tensor) -> Tensor:
        """Zeros (n_atoms,), eV, in float64: the energies have no share of the elements."""
        return torch.zeros(numbers.shape, dtype=torch.float64, device=numbers.device)


class SeedStudentModel:
    """A loaded student behind the protocol; computes in the precision of its weights, float32 as it was trained."""

    def __init__(self, network: SeedStudent, card: ModelCard) -> None:
        self._network = network
        self._card = card

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def network(self) -> SeedStudent:
        """The network itself, in the precision of the card, for those who export it."""
        return self._network

    def batch(self) -> Batch:
        """Whom to ask for several configurations at once."""
        return side_by_side(self._network, self._card)

    def double(self) -> Self:
        """The same student, its weights as they are, computed in float64."""
        network = copy.deepcopy(self._network).double()
        return type(self)(network, replace(self._card, dtype="float64"))

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial by differentiation; raises ModelError for a periodic configuration."""
        if any(configuration.pbc):
            raise ModelError(f"{self._card.name} has no periodic boundaries; give a structure with pbc='F F F'")
        numbers = torch.as_tensor(configuration.numbers)
        dtype = self._network.embedding.weight.dtype
        positions = torch.tensor(configuration.positions, dtype=dtype, requires_grad=True)
        i, j = _pairs(positions, self._network.cutoff)
        energies = self._network(numbers, i, j, positions[j] - positions[i])
        energy = energies.double().sum()  # rounding of a sum of hundreds of eV would be 1e-5 eV
        (gradient,) = torch.autograd.grad(energy, positions)
        forces = -gradient.double().numpy()
        centred = configuration.positions - configuration.positions.mean(axis=0)
        virial = centred.T @ forces
        return Evaluation(energy=energy.item(), forces=forces, virial=0.5 * (virial + virial.T))


def _pairs(positions: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Centres i and neighbours j (n_pairs,), found in the precision of the positions, as the students were trained."""
    with torch.no_grad():
        near = torch.cdist(positions, positions, compute_mode="donot_use_mm_for_euclid_dist") < cutoff
        near.fill_diagonal_(False)
        j, i = near.nonzero().T
        return i, j


def load_seed_student(name: str, checkpoint: Mapping[str, Any], sha256: str) -> SeedStudentModel:
    """A student from ``{"model_state_dict", "config", …}`` or from a bare state dictionary.

    Raises ModelError where keys or shapes are not a seed student's.
    """
    state = _state_dict(name, checkpoint)
    config = checkpoint.get("config")
    sizes = _hyperparameters(name, state, config if isinstance(config, Mapping) else {})
    network = SeedStudent(sizes)
    try:
        network.load_state_dict({**_fixed_buffers(network), **state})
    except RuntimeError as error:
        raise ModelError(f"{name}: the state dictionary does not fit a seed student of {sizes}: {error}") from error
    network.float().eval().requires_grad_(False)
    return SeedStudentModel(network, _card(name, network, sizes, sha256))


def _state_dict(name: str, checkpoint: Mapping[str, Any]) -> StateDict:
    found = checkpoint.get("model_state_dict", checkpoint)
    if not isinstance(found, Mapping):
        raise ModelError(f"{name}: wanted a state dictionary, but model_state_dict is a {type(found).__name__}")
    state = {str(key).removeprefix(WRAPPER): value for key, value in found.items() if isinstance(value, Tensor)}
    if "embedding.weight" not in state:
        keys = ", ".join(list(map(str, checkpoint))[:5]) or "nothing"
        raise ModelError(
            f"{name} is neither an mdsuite checkpoint (key 'format') nor a seed student's (key 'model_state_dict' with "
            f"'embedding.weight'); found {keys}"
        )
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{name}: the weights of {key} are not finite; get an intact checkpoint")
    return state


def _hyperparameters(name: str, state: StateDict, config: Mapping[str, Any]) -> Hyperparameters:
    """From the weights' shapes; the cut-off from the stored centres or the configuration.

    A configuration that contradicts the weights is refused: one of the two is another model's.
    """
    try:
        n_embeddings, hidden = state["embedding.weight"].shape
        n_rbf = state["interactions.0.message.rbf_to_scalar.0.weight"].shape[1]
    except (KeyError, ValueError) as error:
        raise ModelError(f"{name}: the state dictionary is not a seed student's: {error}") from error
    inferred = Hyperparameters(
        hidden=hidden,
        n_interactions=len({key.split(".")[1] for key in state if key.startswith("interactions.")}),
        n_rbf=n_rbf,
        cutoff=_cutoff(name, state, config),
        max_z=n_embeddings - 1,
    )
    told = {"hidden_dim": hidden, "num_interactions": inferred.n_interactions, "num_rbf": n_rbf}
    for key, value in told.items():
        if config.get(key, value) != value:
            raise ModelError(f"{name}: config says {key} = {config[key]}, but the weights have {value}")
    return inferred


def _cutoff(name: str, state: StateDict, config: Mapping[str, Any]) -> float:
    """The configuration's, or the last centre of the radial basis, which lies there."""
    stored = float(state["rbf.centers"][-1]) if "rbf.centers" in state else 5.0
    told = config.get("cutoff", stored)
    if not isinstance(told, (int, float)) or not told > 0:
        raise ModelError(f"{name}: wanted a cut-off in Å, but config says {told!r}")
    return float(told)


def _fixed_buffers(network: SeedStudent) -> StateDict:
    """The radial basis, which some checkpoints leave out since it is not trained."""
    return {f"rbf.{key}": value for key, value in network.rbf.state_dict().items()}


def _card(name: str, network: SeedStudent, sizes: Hyperparameters, sha256: str) -> ModelCard:
    return ModelCard(
        name=name,
        kind="seed student",
        dtype="float32",
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        species=tuple(int(z) for z in np.arange(1, sizes.max_z + 1)),
        cutoff=sizes.cutoff,
        conservative=True,
        periodic=False,
        sha256=sha256,
    )
