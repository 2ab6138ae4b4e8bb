"""What a command waits for, said where somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def waiting(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Says what is waited for, and hears of its parts: a moving line in a terminal, elsewhere a line for the whole."""
    if console.is_terminal:
        with console.status(what) as status:
            yield status.update
        return
    console.print(f"{what} …", highlight=False)
    yield _unheard


def _unheard(_part: str) -> None:
    """A log has a line for the whole."""
