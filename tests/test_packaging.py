"""The wheel, the sdist and the checkout: each finds its inputs from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ASK = (
    "import mdsuite, mdsuite_driver.bundled as b; from mdsuite.judgement.criteria import profiles;"
    "from mdsuite.structures import bundled_structures;"
    "print(mdsuite.__file__, *b.bundled_models(), *profiles(), *bundled_structures())"
)
WANTED = ["painn-ultra-tiny", "production-nve", "seed", "ethanol"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def ask(path: Path | None, folder: Path) -> str:
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    command = [sys.executable, "-c", ASK]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def install(package: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(target), str(package)]
    subprocess.run(command, check=True, capture_output=True)


def test_a_wheel_made_from_the_sdist_finds_its_inputs(built: Path, tmp_path: Path):
    install(next(built.glob("*.whl")), tmp_path / "site")
    said = ask(tmp_path / "site", tmp_path)
    assert said.startswith(str(tmp_path / "site"))
    assert all(name in said for name in WANTED)


def test_a_wheel_made_from_the_checkout_holds_what_the_one_from_the_sdist_holds(built: Path, tmp_path: Path):
    import zipfile

    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    contents = [set(zipfile.ZipFile(next(folder.glob("*.whl"))).namelist()) for folder in (built, tmp_path)]
    assert contents[0] == contents[1]


def test_the_checkout_finds_its_inputs(tmp_path: Path):
    said = ask(None, tmp_path)
    assert all(name in said for name in WANTED)
