"""Where the files that come with mdsuite are: beside the packages in a wheel, in the checkout otherwise."""

from __future__ import annotations

from pathlib import Path


def inputs_folder() -> Path:
    """The folder of campaigns, criteria, structures and model weights; raises FileNotFoundError if it is missing."""
    here = Path(__file__).resolve().parent
    candidates = [here.parent / "mdsuite_inputs", here.parents[1] / "inputs"]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"mdsuite's bundled files are at neither of {', '.join(map(str, candidates))}; reinstall mdsuite"
    )


def bundled_models() -> dict[str, Path]:
    """Name and weights of every bundled model."""
    return {path.stem: path for path in sorted((inputs_folder() / "models").glob("*.pt"))}
