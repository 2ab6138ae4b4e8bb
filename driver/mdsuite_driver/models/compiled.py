"""Models compiled for this machine: made once, kept on disk, and compared with the network whenever they are loaded.

``compiled:SOURCE`` names the model of another source, compiled. ``python -m mdsuite_driver.models.compiled SOURCE``
makes it, with ``--batch`` for several configurations at once too.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdsuite_driver.models.batch import Batch, OneByOne, batch_of
from mdsuite_driver.models.neighbours import Neighbours
from mdsuite_driver.models.protocol import (
    Configuration,
    Doubling,
    Evaluation,
    FloatArray,
    IntArray,
    Model,
    ModelCard,
    ModelError,
    require_known,
)
from mdsuite_driver.models.sameness import SIZES, questions, require_same

if TYPE_CHECKING:
    from torch import nn

    from mdsuite_driver.models.exported import Graph

HOW, INSTEAD = "compiled", "--compile never"


class CompiledModel:
    """A model whose energy and gradient are one compiled graph; what that was not made for is asked of the model."""

    def __init__(self, model: Model, graph: Graph) -> None:
        self._model = model
        self._graph = graph
        self._neighbours = Neighbours(model.card.cutoff or 0.0)

    @property
    def card(self) -> ModelCard:
        """That of the model, whose answers these are."""
        return self._model.card

    def batch(self) -> Batch:
        """Whom to ask for several configurations at once, compiled too; raises ModelError as `load_compiled`."""
        return load_compiled_batch(self._model)

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError as the model does."""
        card = self.card
        if any(configuration.pbc) and not card.periodic:
            return self._model.evaluate(configuration)  # which says why not
        require_known(configuration, card.species or (), card.name)
        pairs = self._neighbours.vectors_within(configuration)
        if min(len(configuration.numbers), len(pairs[0])) < 2:  # fewer than the graph is open for
            return self._model.evaluate(configuration)
        energy, gradient = self._graph(configuration.numbers, *pairs)
        return self._neighbours.collected(energy, len(configuration.numbers), pairs, gradient)


class DoublingCompiledModel(CompiledModel):
    """The same of a model that can be computed in float64 too, in which it is evaluated as it is."""

    def __init__(self, model: Doubling, graph: Graph) -> None:
        super().__init__(model, graph)
        self._doubling = model

    def double(self) -> Model:
        """The model in float64, its weights as they are."""
        return self._doubling.double()


def load_compiled(location: str, trust: bool) -> Model:
    """The model of a source, compiled here or before; raises ModelError where that cannot be, or would not be it."""
    from mdsuite_driver.models.exported import graph_of  # noqa: PLC0415
    from mdsuite_driver.models.load import load  # noqa: PLC0415  it knows of this module

    model = load(location, trust=trust)
    graph = graph_of(_package(model, batch=False), model.card.dtype)
    made = DoublingCompiledModel(model, graph) if isinstance(model, Doubling) else CompiledModel(model, graph)
    require_same(OneByOne(made), model, how=HOW, instead=INSTEAD)
    return made


def load_compiled_batch(model: Model) -> Batch:
    """Several configurations of a model at once, compiled here or before; raises ModelError as `load_compiled`."""
    from mdsuite_driver.models.exported import atom_graph_of  # noqa: PLC0415
    from mdsuite_driver.models.graph import EnergiesAndGradient  # noqa: PLC0415

    card = model.card
    compiled = atom_graph_of(_package(model, batch=True), card.dtype)
    plain = atom_graph_of(EnergiesAndGradient(network_of(model)), card.dtype)

    def graph(numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        few = min(len(numbers), len(i)) < 2  # fewer than the graph is open for
        return (plain if few else compiled)(numbers, i, j, vectors)

    made = Batch(graph, card)
    require_same(made, model, how=HOW, instead=INSTEAD)
    return made


def network_of(model: Model) -> nn.Module:
    """What of a model can be compiled; raises ModelError where nothing can."""
    from torch import nn  # noqa: PLC0415  takes seconds

    network = getattr(model, "network", None)
    if not isinstance(network, nn.Module):
        raise ModelError(
            f"{model.card.name} ({model.card.kind}) cannot be compiled, or put on a GPU by mdsuite; what can are the "
            "project's PaiNN and ACE, and seed students, as they are"
        )
    return network


def package_of(model: Model, *, batch: bool = False) -> Path:
    """Where its package is, or would be: by weights, code, version of torch, kind of processor, and one thread or more.

    That for a `batch` tells the energies of atoms apart; what is compiled for one thread is as fast as it can be there.

    Raises ModelError for a model that cannot be compiled.
    """
    import torch  # noqa: PLC0415

    network_of(model)
    facts = {
        "weights": model.card.sha256,
        "dtype": model.card.dtype,
        "batch": batch,
        "parallel": torch.get_num_threads() > 1,
        "code": _code(),
        "torch": torch.__version__,
        "machine": [platform.machine(), torch.backends.cpu.get_cpu_capability(), _processor()],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / f"{model.card.name.replace('/', '_')}-{'batch-' if batch else ''}{digest}.pt2"


def cache_folder() -> Path:
    """Of compiled models: in ``MDSUITE_CACHE``, or in ``mdsuite`` of ``XDG_CACHE_HOME`` or ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("MDSUITE_CACHE") or Path(home) / "mdsuite") / "compiled"


def _require_ours(folder: Path) -> None:
    """Raise ModelError where somebody else could put code into it, which would be run."""
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ModelError(
            f"others may write to {folder}, and what is there would be run; make it yours alone (chmod go-w), or name "
            "another folder by MDSUITE_CACHE"
        )


def _package(model: Model, *, batch: bool) -> Callable[..., Any]:
    """The function of a package, which is made if it is not there."""
    from mdsuite_driver.models.exported import open_package  # noqa: PLC0415

    path = package_of(model, batch=batch)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_ours(path.parent)
    if not path.exists():
        _make(model, path, batch=batch)
    try:
        return open_package(path)[0]
    except (RuntimeError, OSError, ValueError) as error:
        raise ModelError(f"the compiled model {path} cannot be loaded; remove it, and it is made anew") from error


def _make(model: Model, path: Path, *, batch: bool) -> None:
    """By whoever comes first; the others wait for it."""
    from mdsuite_driver.models.graph import EnergiesAndGradient, EnergyAndGradient  # noqa: PLC0415
    from mdsuite_driver.models.package import example, write_package  # noqa: PLC0415

    with _alone(path.with_suffix(".lock")):
        if path.exists():
            return
        temporary = path.with_name(f".{os.getpid()}-{path.name}")
        try:
            question = next(each for each in questions(model.card) if len(each.numbers) == SIZES[-1])
            function = (EnergiesAndGradient if batch else EnergyAndGradient)(network_of(model))
            write_package(function, model.card, example(question, model.card), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        with contextlib.suppress(OSError):  # without locks several make the same, and the last one's is kept
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _code() -> str:
    """Of all models: what a package was made of must not be guessed."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _processor() -> str:
    """What it can do, for compiled code of another kind of processor may end a process."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(flags.encode()).hexdigest()


def main() -> int:
    """Make it; exit code 0 where it is there and the same, 1 where it cannot be."""
    source, *flags = sys.argv[1:]
    try:
        model = load_compiled(source, "--trust" in flags)
        if "--batch" in flags:
            batch_of(model)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{model.card.name} is compiled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
