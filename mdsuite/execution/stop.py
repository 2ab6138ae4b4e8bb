"""What a person, a scheduler or a clock asks of runs that are going on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """An end at the next chunk; asked for a second time, an end at once."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._at_once = threading.Event()
        self.heard = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """For as long as somebody looks whether an end is wanted."""
        self.heard = True
        try:
            yield
        finally:
            self.heard = False

    @property
    def requested(self) -> bool:
        """Whether an end is wanted."""
        return self._requested.is_set()

    @property
    def at_once(self) -> bool:
        """Whether it is wanted without waiting for the next chunk."""
        return self._at_once.is_set()

    def request(self) -> None:
        """Ask for an end."""
        if self.requested:
            self._at_once.set()
        self._requested.set()

    def request_after(self, seconds: float) -> threading.Timer:
        """Ask for an end at the next chunk in so many seconds, unless the timer is cancelled."""
        timer = threading.Timer(max(seconds, 0.0), self._requested.set)
        timer.daemon = True
        timer.start()
        return timer
