"""The documentation: it builds without a warning, and every command shows how it is used.

What stands in its pages is run where they are collected; see conftest.py at the root.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import yaml

import mdsuite
from mdsuite.cli import main
from mdsuite.completion import SHELLS, script

ROOT = Path(__file__).parents[2]


def test_it_builds_without_a_warning(tmp_path: Path):
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "energy_drift" in (tmp_path / "criteria.html").read_text()
    assert "E_{n+1} - E_n" in (tmp_path / "theory" / "ledger.html").read_text()


def commands(group: click.Group, before: str = "") -> dict[str, click.Command]:
    """Every command by its words, those of groups too."""
    found = {f"{before}{name}": each for name, each in group.commands.items()}
    inside = [commands(each, f"{name} ") for name, each in found.items() if isinstance(each, click.Group)]
    return found | {name: each for of in inside for name, each in of.items()}


COMMANDS = commands(main)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_shows_an_example_that_the_command_takes(name: str):
    shown = [line.strip() for line in (COMMANDS[name].help or "").splitlines()]
    examples = [line for line in shown if re.match(rf"mdsuite {name}\b", line)]
    assert examples
    for line in examples:
        words = shlex.split(line.split(" >")[0])[1 + len(name.split()) :]
        COMMANDS[name].make_context(name, words)


def completed(*words: str) -> list[str]:
    """What a bash would be given for the last of these words."""
    asked = {"_MDSUITE_COMPLETE": "bash_complete", "COMP_WORDS": shlex.join(words), "COMP_CWORD": str(len(words) - 1)}
    command = [sys.executable, "-c", "from mdsuite.cli import main; main(prog_name='mdsuite')"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("mdsuite", "wat"), "watch"),
        (("mdsuite", "run", "--hori"), "--horizon-ps"),
        (("mdsuite", "run", "--model", "painn-t"), "painn-tiny"),
        (("mdsuite", "run", "--structure", "asp"), "aspirin"),
        (("mdsuite", "run", "--engine", "lammps-"), "lammps-native"),
        (("mdsuite", "check", "--profile", "sta"), "static"),
        (("mdsuite", "explain", "non_con"), "non_conservative_forces"),
    ],
)
def test_a_shell_completes(words: tuple[str, ...], wanted: str):
    assert wanted in completed(*words)


def test_every_shell_gets_a_script_that_asks_mdsuite():
    assert all("_MDSUITE_COMPLETE" in script(main, "mdsuite", shell) for shell in SHELLS)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_pages_at_the_root_lead_somewhere(page: str):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_every_command_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    told = set(re.findall(r"`(?:mdsuite )?([a-z-]+)`", text))
    assert {name for name, each in main.commands.items() if not each.hidden} - told - {"run-one", "completion"} == set()


def test_what_is_cited_is_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["version"], cited["license"]) == (mdsuite.__version__, "MIT")


def test_the_kit_is_the_package_that_is_there():
    kit = yaml.safe_load((ROOT / "analysis" / "mdakit" / "metadata.yaml").read_text())
    required = ("project_name", "authors", "maintainers", "description", "keywords", "license", "project_home")
    assert all(kit[name] for name in (*required, "documentation_home", "documentation_type"))
    assert find_spec(kit["import_name"])


def test_a_command_that_is_not_there_names_what_is_near():
    with pytest.raises(click.UsageError, match="there is no command chek; did you mean check"):
        main.main(["chek"], standalone_mode=False)
