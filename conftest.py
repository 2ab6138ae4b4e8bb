"""What stands in the documentation is run: Python, consoles with their output, and every command as far as its words.

A block in a `console` fence is carried out and its output compared, one in a `bash` fence is read: the commands of
mdsuite must take their flags, files of this repository and extras of the package must be there.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

from mdsuite.cli import main
from mdsuite.judgement.criteria import read_profile

ROOT = Path(__file__).parent
LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BAD_INPUT = 2
SHELL = (">", ">>", "|", "&&")

if "PYTEST_XDIST_WORKER" in os.environ:  # each has a processor, whose time PyTorch's threads would spend waiting
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No model is there compiled, whatever is in the cache of who tests; what is compiled goes here."""
    os.environ["MDSUITE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


def carried_out(example: Example) -> str | None:
    """A console: each command after a `$` with its continuations after `>`, and what it prints."""
    said = re.split(r"^\$ ", str(example.parsed), flags=re.MULTILINE)[1:]
    for each in said:
        lines = each.splitlines()
        more = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:more])])
        wanted = "\n".join(lines[more:]) + "\n"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        if done.returncode >= BAD_INPUT or not doctest.OutputChecker().check_output(wanted, done.stdout, LOOSELY):
            return f"$ {command}\nended with {done.returncode} and printed\n{done.stdout}{done.stderr}wanted\n{wanted}"
    return None


def read(example: Example) -> str | None:
    """Commands that would be taken as they stand."""
    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        words = shlex.split(line.replace(".venv/bin/", ""), comments=True)
        if words and (wrong := _wrong(words)):
            return f"{line}: {wrong}"
    return None


def _wrong(words: list[str]) -> str | None:
    if words[0] == "mdsuite":
        return _refused([*takewhile(lambda word: word not in SHELL, words[1:])])
    asked = [word for word in words if re.search(r"(^|\s)mdsuite\[", word) or word.startswith("mdsuite[")]
    extras = {extra for word in asked for extra in word[word.index("[") + 1 : -1].split(",")}
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if unknown := extras - known.keys():
        return f"there is no extra {', '.join(unknown)}"
    ours = re.compile(r"(tests|benchmarks|inputs|docs)/")
    lost = [word for word in words if ours.match(word) and not (ROOT / word).exists()]
    return f"there is no {', '.join(lost)}" if lost else None


def _refused(words: list[str]) -> str | None:
    if words[0] not in main.commands:
        return f"there is no command {words[0]}"
    found, n_words = main.commands[words[0]], 1
    while isinstance(found, click.Group) and words[n_words:] and words[n_words] in found.commands:
        found, n_words = found.commands[words[n_words]], n_words + 1
    try:
        found.make_context(words[n_words - 1], words[n_words:])
    except click.ClickException as error:
        return error.format_message()
    return None


def parsed_toml(example: Example) -> None:
    """TOML, and a profile where it has criteria."""
    content = tomllib.loads(str(example.parsed))
    if "criteria" in content:
        file = Path("profile.toml")
        file.write_text(str(example.parsed))
        read_profile(str(file))


def parsed_yaml(example: Example) -> str | None:
    """YAML, with the commands of mdsuite in it."""
    for line in _strings(yaml.safe_load(str(example.parsed))):
        if line.startswith("mdsuite ") and (wrong := _refused(shlex.split(line)[1:])):
            return f"{line}: {wrong}"
    return None


def _strings(of: Any) -> list[str]:
    inside = of.values() if isinstance(of, dict) else of if isinstance(of, list) else []
    return [of] if isinstance(of, str) else [each for part in inside for each in _strings(part)]


def begin(namespace: dict[str, Any]) -> None:
    """In an empty folder."""
    namespace["_before"], namespace["_folder"] = Path.cwd(), tempfile.TemporaryDirectory()
    os.chdir(namespace["_folder"].name)


def end(namespace: dict[str, Any]) -> None:
    """Back again."""
    os.chdir(namespace["_before"])
    namespace["_folder"].cleanup()


pytest_collect_file = Sybil(
    parsers=[
        SkipParser(),
        PythonCodeBlockParser(doctest_optionflags=LOOSELY),
        CodeBlockParser("console", carried_out),
        CodeBlockParser("bash", read),
        CodeBlockParser("toml", parsed_toml),
        CodeBlockParser("yaml", parsed_yaml),
    ],
    pattern="*.md",
    setup=begin,
    teardown=end,
).pytest()
