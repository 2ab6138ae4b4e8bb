"""Decides whether a machine-learned interatomic potential may be trusted in production MD.

In Python: `mdsuite.run`, `mdsuite.check` and `mdsuite.compare` are the commands of these names, and
`mdsuite.load_results` reads what they have found, as tables of pandas.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdsuite.api import Results, check, compare, load_results, run

__all__ = ["Results", "check", "compare", "load_results", "run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mdsuite import api  # noqa: PLC0415  pandas takes time, the command line should not

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
