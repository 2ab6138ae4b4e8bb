"""A model as one function of tensors, for files that need none of its Python code.

The function takes atomic numbers (n_atoms,) int64, all ordered pairs i, j (n_pairs,) int64 within the cut-off, and the
vectors (n_pairs, 3), Å, from i to j; it returns the total energy, eV, in float64, and its derivative by the vectors,
eV/Å. Neighbours stay outside: they are nobody's weights, and every engine has its own.
"""

import copy
from typing import Final

import torch
from torch import Tensor, nn

FORMAT = "mdsuite-graph/1"
"""What the metadata of such a file say of its signature."""

WEIGHTS: Final = ("float16", "bfloat16", "int8")
"""What weights can be stored in; they are multiplied in the precision of the model, so that forces stay derivatives."""

_HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class EnergyAndGradient(nn.Module):
    """Of a network of energies of atoms, with the elements' reference energies."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Energy () and gradient (n_pairs, 3)."""
        vectors = vectors.detach().requires_grad_()
        energy: Tensor = self.network(numbers, i, j, vectors).double().sum()
        gradient = torch.autograd.grad([energy], [vectors])[0]
        assert gradient is not None
        # TorchScript reads comments that say a type, but for this one
        reference: Tensor = self.network.reference_energies(numbers).sum()  # type: ignore[operator]
        return energy.detach() + reference, gradient.detach()


class EnergiesAndGradient(nn.Module):
    """The same with the energy of each atom, which tells configurations beside each other apart."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Energies (n_atoms,) and gradient (n_pairs, 3) of their sum."""
        vectors = vectors.detach().requires_grad_()
        energies: Tensor = self.network(numbers, i, j, vectors).double()
        gradient = torch.autograd.grad([energies.sum()], [vectors])[0]
        assert gradient is not None
        reference: Tensor = self.network.reference_energies(numbers)  # type: ignore[operator]
        return energies.detach() + reference, gradient.detach()


class Energy(nn.Module):
    """The energy alone, for formats that have no derivatives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, numbers: Tensor, i: Tensor, j: Tensor, vectors: Tensor) -> Tensor:
        """Energy ()."""
        energy: Tensor = self.network(numbers, i, j, vectors).double().sum()
        reference: Tensor = self.network.reference_energies(numbers).sum()  # type: ignore[operator]
        return energy + reference


class _Stored(nn.Module):
    """A weight (n, …) in few bits, with a scale for each row."""

    stored: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, kind: str) -> None:
        super().__init__()
        largest = weight.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(weight.dtype).tiny)
        if kind == "int8":
            scale = largest / 127.0
            self.register_buffer("stored", torch.round(weight / scale).to(torch.int8))
        else:
            scale = torch.ones_like(largest)
            self.register_buffer("stored", weight.to(_HALF[kind]))
        self.register_buffer("scale", scale.to(torch.float32))

    def weight(self, like: Tensor) -> Tensor:
        """In the precision of another tensor."""
        return self.stored.to(like.dtype) * self.scale.to(like.dtype)


class StoredLinear(_Stored):
    """A linear layer whose weights are stored in few bits; its bias is not."""

    bias: Tensor

    def __init__(self, linear: nn.Linear, kind: str) -> None:
        super().__init__(linear.weight.detach(), kind)
        bias = torch.zeros(linear.out_features, dtype=linear.weight.dtype) if linear.bias is None else linear.bias
        self.register_buffer("bias", bias.detach().to(torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Of features (…, n_in)."""
        return nn.functional.linear(x, self.weight(x), self.bias.to(x.dtype))


class StoredEmbedding(_Stored):
    """An embedding whose rows are stored in few bits."""

    dtype_of: Tensor

    def __init__(self, embedding: nn.Embedding, kind: str) -> None:
        super().__init__(embedding.weight.detach(), kind)
        self.register_buffer("dtype_of", torch.zeros(0, dtype=embedding.weight.dtype))

    def forward(self, index: Tensor) -> Tensor:
        """Of indices (n,)."""
        return self.weight(self.dtype_of)[index]


def with_stored_weights(network: nn.Module, kind: str) -> nn.Module:
    """A copy whose linear layers and embeddings are stored in `kind`, one of `WEIGHTS`."""
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, StoredLinear(child, kind))
            elif isinstance(child, nn.Embedding):
                setattr(parent, name, StoredEmbedding(child, kind))
    return copied
