"""A fit as it is told on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from mdsuite.linear.fit import Fitted


def print_fit(fitted: Fitted) -> None:
    """Its errors, what its rows do not determine, and where it is."""
    console = Console()
    table = Table("root mean square error", "structures", "meV/atom", "meV/Å", "virial, meV/atom", box=None)
    for each in fitted.errors:
        numbers = (f"{each.energy:.3f}", f"{each.forces:.2f}", f"{each.virial:.3f}")
        table.add_row(each.group, str(each.n_structures), *numbers)
    console.print(table)
    if fitted.undetermined:
        console.print(
            f"warning: the structures do not tell {len(fitted.undetermined)} functions from the others: "
            f"{'; '.join(fitted.undetermined)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"model:  {fitted.file}", soft_wrap=True)
