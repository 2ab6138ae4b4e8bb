"""What a shell completes for options of mdsuite: bundled names, names in reports, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

SHELLS = ("bash", "zsh", "fish")


def script(command: click.Command, name: str, shell: str) -> str:
    """What a shell must source to complete a command of that name; raises ValueError for a shell not of `SHELLS`."""
    made = get_completion_class(shell)
    if made is None:
        raise ValueError(f"wanted one of {', '.join(SHELLS)}, got {shell}")
    return made(command, {}, name, f"_{name.upper()}_COMPLETE").source()


def _completing(names: Callable[[], Iterable[str]], *, files: bool = True) -> Complete:
    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in names() if name.startswith(incomplete)]
        return [*([CompletionItem(incomplete, type="file")] if files else []), *found]

    return complete


def _models() -> list[str]:
    from mdsuite_driver.bundled import bundled_models  # noqa: PLC0415  with each of these only where it is asked for
    from mdsuite_driver.models.packages import OURS  # noqa: PLC0415
    from mdsuite_driver.models.protocol import WAYS  # noqa: PLC0415

    return [*bundled_models(), *(f"{each}:" for each in (*OURS, *filter(None, WAYS)))]


def _structures() -> list[str]:
    from mdsuite.structures import bundled_structures  # noqa: PLC0415

    return list(bundled_structures())


def _profiles() -> list[str]:
    from mdsuite.judgement.criteria import profiles  # noqa: PLC0415

    return list(profiles())


def _engines() -> list[str]:
    from mdsuite.engines.kinds import engine_kinds  # noqa: PLC0415

    return list(engine_kinds())


def _names() -> list[str]:
    from mdsuite.explanation import known_names  # noqa: PLC0415

    return known_names()


models = _completing(_models)
structures = _completing(_structures)
profile = _completing(_profiles)
engines = _completing(_engines, files=False)
names = _completing(_names, files=False)
