"""Models from files that hold a graph: TorchScript, AOTInductor packages (.pt2), and ONNX for energies."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mdsuite_driver.models.batch import AtomGraph
from mdsuite_driver.models.last import OfTheLast
from mdsuite_driver.models.neighbours import Neighbours
from mdsuite_driver.models.protocol import (
    Configuration,
    Evaluation,
    FloatArray,
    IntArray,
    ModelCard,
    ModelError,
    first_line,
    require_fit,
)

METADATA = "mdsuite.json"
"""Name of the metadata in a TorchScript archive, and their key in the other formats."""

Graph = Callable[[IntArray, IntArray, IntArray, FloatArray], tuple[float, FloatArray]]
"""From numbers, i, j and vectors to the energy and its derivative by the vectors, as of `graph`."""

EnergyGraph = Callable[[IntArray, IntArray, IntArray, FloatArray], float]


def metadata_of(card: ModelCard) -> dict[str, Any]:
    """What a file must say of its model, beside the graph."""
    from mdsuite_driver.models.graph import FORMAT  # noqa: PLC0415  torch takes seconds

    return {"format": FORMAT, "card": dataclasses.asdict(card)}


class GraphModel:
    """Energy, forces and virial from a graph."""

    def __init__(self, graph: Graph, card: ModelCard) -> None:
        self._graph = graph
        self._card = card
        self._neighbours = Neighbours(card.cutoff or 0.0)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Energy, forces and virial; raises ModelError for elements that the model was not made for."""
        require_fit(configuration, self._card)
        pairs = self._neighbours.vectors_within(configuration)
        energy, gradient = self._graph(configuration.numbers, *pairs)
        return self._neighbours.collected(energy, len(configuration.numbers), pairs, gradient)


class EnergyModel:
    """Energies from a graph that has no derivatives; it drives no dynamics."""

    def __init__(self, graph: EnergyGraph, card: ModelCard) -> None:
        self._graph = graph
        self._card = card
        self._neighbours = Neighbours(card.cutoff or 0.0)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    def energy(self, configuration: Configuration) -> float:
        """eV; raises ModelError for elements that the model was not made for."""
        require_fit(configuration, self._card)
        return self._graph(configuration.numbers, *self._neighbours.vectors_within(configuration))

    def evaluate(self, configuration: Configuration) -> Evaluation:
        """Raises ModelError: there are no forces."""
        raise ModelError(f"{self._card.name} gives energies and no forces; serve the model as .pt2 or TorchScript")


def load_torchscript(name: str, path: Path) -> GraphModel:
    """A TorchScript archive of the signature of `graph`; raises ModelError for any other."""
    import torch  # noqa: PLC0415  takes seconds

    extra = {METADATA: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole, which the file is in
            module = torch.jit.load(str(path), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as TorchScript: {first_line(error)}") from error
    card = _card(name, path, extra[METADATA], "TorchScript")
    return GraphModel(graph_of(module, card.dtype), card)


def load_package(name: str, path: Path) -> GraphModel:
    """An AOTInductor package of the signature of `graph`; raises ModelError for any other."""
    import torch  # noqa: PLC0415  takes seconds

    try:
        package, metadata = open_package(path)
        stored = metadata.get(METADATA, "")
    except (RuntimeError, OSError, ValueError) as error:
        raise ModelError(
            f"{path} cannot be loaded as an AOTInductor package; it was made for one kind of machine and one version "
            f"of torch (here {torch.__version__}): {first_line(error)}"
        ) from error
    card = _card(name, path, stored, "AOTInductor package")
    return GraphModel(graph_of(package, card.dtype), card)


def open_package(path: Path) -> tuple[Callable[..., Any], Mapping[str, str]]:
    """The function of a package, and its metadata; raises what torch raises for a file that is none.

    By torch's loader itself: what is around it imports the compiler, and reads a description in every call.
    """
    import torch  # noqa: PLC0415

    with _unpacked_briefly():
        held = [torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)]

    def function(*given: Any) -> Any:
        return held[0].boxed_run(list(given))

    weakref.finalize(function, held.clear)  # versions of torch that unpack elsewhere remove that now
    return function, held[0].get_metadata()


@contextlib.contextmanager
def _unpacked_briefly() -> Iterator[None]:
    """While this is entered torch unpacks into a folder that is removed at its end.

    A library needs its file no longer once it is loaded. Torch itself removes it with the loader, and so not where a
    process is killed.
    """
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="mdsuite-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


def load_onnx(name: str, path: Path) -> EnergyModel:
    """An ONNX graph of an energy; raises ModelError for another signature, and where onnxruntime is missing."""
    try:
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415  not everybody has it
    except ImportError as error:
        raise ModelError(f"{path} needs the package onnxruntime: pip install 'mdsuite[onnx]'") from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, which have no common base
        raise ModelError(f"{path} cannot be read as ONNX: {first_line(error)}") from error
    stored = session.get_modelmeta().custom_metadata_map.get(METADATA, "")
    card = dataclasses.replace(_card(name, path, stored, "ONNX"), forces=False)
    names = [each.name for each in session.get_inputs()]

    def energy(numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> float:
        given = zip(names, (numbers, i, j, vectors.astype(card.dtype)), strict=True)
        return float(session.run(None, dict(given))[0])

    return EnergyModel(energy, card)


def graph_of(function: Callable[..., Any], dtype: str) -> Graph:
    """A function of tensors as one of arrays; it computes in a precision."""
    asked = _of_arrays(function, dtype)

    def graph(numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> tuple[float, FloatArray]:
        energy, gradient = asked(numbers, i, j, vectors)
        return float(energy.numpy()), gradient.double().numpy()

    return graph


def atom_graph_of(function: Callable[..., Any], dtype: str) -> AtomGraph:
    """As `graph_of`, of a function that returns the energy of each atom."""
    asked = _of_arrays(function, dtype)

    def graph(numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        energies, gradient = asked(numbers, i, j, vectors)
        return energies.numpy(), gradient.double().numpy()

    return graph


def _of_arrays(function: Callable[..., Any], dtype: str) -> Callable[..., Any]:
    import torch  # noqa: PLC0415

    precision = getattr(torch, dtype)
    of_numbers, of_i, of_j = (OfTheLast(torch.as_tensor) for _ in range(3))  # which share the arrays' memory

    def asked(numbers: IntArray, i: IntArray, j: IntArray, vectors: FloatArray) -> Any:
        return function(of_numbers(numbers), of_i(i), of_j(j), torch.as_tensor(vectors).to(precision))

    return asked


def _card(name: str, path: Path, stored: str, kind: str) -> ModelCard:
    """From the metadata of a file; raises ModelError for a file of another origin, whose signature is not known."""
    from mdsuite_driver.models.graph import FORMAT  # noqa: PLC0415

    try:
        metadata: Mapping[str, Any] = json.loads(stored or "{}")
        known = dict(metadata["card"]) if metadata["format"] == FORMAT else {}
        species = known.pop("species")
        card = ModelCard(**{**known, "species": None if species is None else tuple(species)})
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} does not say what its inputs are: wanted the metadata {METADATA} with the format {FORMAT}, as "
            "`mdsuite export` writes them. Wrap the file in an ASE calculator and name it ase:FILE.py:FACTORY"
        ) from error
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return dataclasses.replace(card, name=name, kind=f"{card.kind}, {kind}", sha256=sha256)
