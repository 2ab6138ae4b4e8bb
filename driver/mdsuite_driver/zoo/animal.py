"""What is known of a defect before any check is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlencode

PACKAGE = "mdsuite_driver.zoo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal:
    """A defect, how to get it, and what should find it.

    factory : that makes the calculator, or None where the defect is not in the model but in how the run is set up
    default_strength : by host, at which it should be found; the first host shows it best; 0 is always the clean twin
    what : one sentence
    causes : that a correct diagnosis may name, by the architecture's names; may be empty
    found_by : what should find it on the first host: static, ledger, run or reversal; empty where nothing is wrong
    options : of the factory besides strength and host
    """

    name: str
    factory: str | None
    default_strength: Mapping[str, float]
    unit_of_strength: str
    what: str
    causes: tuple[str, ...]
    found_by: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def hosts(self) -> tuple[str, ...]:
        """The sound potentials that it can be put on."""
        return tuple(self.default_strength)

    def source(self, host: str, *, strength: float | None = None) -> str:
        """The name by which `load` takes it on a host; raises ValueError where there is no model of it.

        strength : the host's default unless given
        """
        if self.factory is None or host not in self.hosts:
            raise ValueError(f"there is no model of {self.name} on {host!r}; its hosts are {', '.join(self.hosts)}")
        amount = self.default_strength[host] if strength is None else strength
        choice = {"host": host} if len(self.hosts) > 1 else {}
        return f"ase:{PACKAGE}:{self.factory}?{urlencode({'strength': amount, **choice, **self.options})}"
