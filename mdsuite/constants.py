"""The one table of constants (CODATA, from scipy) in mdsuite's units: eV, Å, ps, amu, K."""

from __future__ import annotations

import scipy
from scipy.constants import physical_constants

CODATA = f"CODATA 2022 as in scipy {scipy.__version__}" if scipy.__version__ >= "1.15" else f"scipy {scipy.__version__}"
BOLTZMANN = physical_constants["Boltzmann constant in eV/K"][0]  # eV/K
# amu Å²/ps² in eV
KINETIC = physical_constants["atomic mass constant"][0] * 1e4 / physical_constants["electron volt"][0]
KJ_PER_MOL = physical_constants["Avogadro constant"][0] * physical_constants["electron volt"][0] * 1e-3  # of one eV
EV_PER_KCAL_PER_MOL = 4.184 / KJ_PER_MOL
