"""Make the comparisons in `replacement/` anew: 120 functions against 77 of the same parameters, and against themselves.

From the root of the project, with Si_tiny where the recipes have it; some minutes on two cores:

    python inputs/showcase/replacement.py [OUTPUT]
"""

from __future__ import annotations

import sys
from pathlib import Path

from make import keep, mdsuite

HERE = Path(__file__).parent
RECIPES = HERE.parent / "recipes"
DATA = Path("../shared/data/si_tiny/Si_tiny.xyz")
LABELS = [
    word
    for each in ("energy", "force", "virial")
    for word in ("--label", f"{each.replace('force', 'forces')}=dft_{each}")
]


def main(output: Path) -> None:
    """Fit both bases, one of them twice, and compare."""
    if not DATA.is_file():
        sys.exit(f"wanted the structures of Si_tiny, but there is no {DATA}")
    for recipe, folder in (("si-tiny-120", "fitted"), ("si-tiny-77", "fitted"), ("si-tiny-120", "again")):
        mdsuite("fit", RECIPES / f"{recipe}.toml", "--output", output / folder)
    baseline = output / "fitted" / "si-tiny-120.pt"
    for name, candidate in (("lossy", "fitted/si-tiny-77.pt"), ("refitted", "again/si-tiny-120.pt")):
        mdsuite("compare", baseline, output / candidate, "--data", DATA, *LABELS, "--output", output / name)
        keep(output / name, HERE / "replacement" / name)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "mdsuite-out/replacement"))
