"""Forces and virial of any energy that depends on the vectors between pairs alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mdsuite_driver.models.neighbours import Pairs, collected
from mdsuite_driver.models.protocol import Evaluation

Energy = Callable[[Tensor, Tensor, Tensor], Tensor]


def differentiated(n_atoms: int, pairs: Pairs, energy_of: Energy) -> Evaluation:
    """Energy, forces and virial from one differentiation by the vectors between pairs.

    pairs : as of `neighbours.vectors_within`
    energy_of : the total energy, eV, of all ordered pairs i, j (n_pairs,) and the vectors (n_pairs, 3), Å, between them
    """
    i, j, separation = pairs
    vectors = torch.tensor(separation, requires_grad=True)
    energy = energy_of(torch.as_tensor(i), torch.as_tensor(j), vectors)
    gradient = np.zeros_like(separation) if len(i) == 0 else torch.autograd.grad(energy, vectors)[0].numpy()
    return collected(float(energy.detach()), n_atoms, i, j, separation, gradient)
