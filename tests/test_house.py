"""The house's own rules: lint, types, rooms, and tests that all run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = {
    "ruff check": [sys.executable, "-m", "ruff", "check", "."],
    "ruff format": [sys.executable, "-m", "ruff", "format", "--check", "."],
    "mypy": [sys.executable, "-m", "mypy"],
    "import-linter": [str(Path(sys.executable).with_name("lint-imports"))],
}


@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_the_code_satisfies(command: list[str]):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_mdsuite_is_light():
    code = "import sys, mdsuite, mdsuite_driver, mdsuite_analysis, mdsuite.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_page_or_source_names_a_machine():
    named = [
        path
        for folder in ("mdsuite", "driver", "analysis", "inputs", "docs", ".ci", ".")
        for path in ((ROOT / folder).rglob("*") if folder != "." else ROOT.glob("*"))
        if path.is_file()
        and path.suffix in {".py", ".toml", ".md", ".j2"}
        and re.search(r"/work/|/root/", path.read_text())
    ]
    assert named == []
