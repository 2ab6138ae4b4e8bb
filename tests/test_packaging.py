"""The wheel, the sdist and the checkout: each finds its inputs from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ASK = (
    "import mdsuite, mdsuite_driver.bundled as b; from mdsuite.judgement.criteria import profiles;"
    "from mdsuite.structures import bundled_structures;"
    "print(mdsuite.__file__, *b.bundled_models(), *profiles(), *bundled_structures())"
)
WANTED = ["painn-ultra-tiny", "silicon-sw", "argon", "production-nve", "seed", "ethanol"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


def python(*arguments: str, **settings: Any) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(path: Path | None, folder: Path) -> str:
    return python("-c", ASK, cwd=folder, env={**os.environ, **({"PYTHONPATH": str(path)} if path else {})})


def install(package: Path, target: Path) -> None:
    python("-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(package))


def test_a_wheel_made_from_the_sdist_finds_its_inputs(built: Path, tmp_path: Path):
    install(next(built.glob("*.whl")), tmp_path / "site")
    said = ask(tmp_path / "site", tmp_path)
    assert said.startswith(str(tmp_path / "site"))
    assert all(name in said for name in WANTED)


def test_a_wheel_made_from_the_checkout_holds_what_the_one_from_the_sdist_holds(built: Path, tmp_path: Path):
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    contents = [set(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()) for folder in (built, tmp_path)]
    assert contents[0] == contents[1]


def test_the_checkout_finds_its_inputs(tmp_path: Path):
    said = ask(None, tmp_path)
    assert all(name in said for name in WANTED)
