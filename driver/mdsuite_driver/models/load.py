"""From the name of a model to the model."""

from __future__ import annotations

import difflib
import hashlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mdsuite_driver.bundled import bundled_models
from mdsuite_driver.models.protocol import (
    COMPILED,
    CUDA,
    DOUBLE,
    NOTHING,
    Doubling,
    Model,
    ModelError,
    first_line,
    in_way,
    of_itself,
    way_of,
)

Checkpoint = dict[str, Any]  # whatever a training program stored; each loader checks what it uses
Loader = Callable[[str, Checkpoint, str], Model]


def load(source: str, *, trust: bool = False) -> Model:
    """The model named by a path, a bundled name, ``ase:MODULE_OR_FILE.py:FACTORY?key=value`` or such as ``mace:FILE``.

    Code and pickles from files run only with `trust`. Raises ModelError saying what was wanted, what came and what
    to do.
    """
    if way := way_of(source):  # before what imports ase
        return _in_way(way, of_itself(source), trust=trust)
    if source.startswith(f"{NOTHING}:"):
        from mdsuite_driver.models.nothing import load_nothing  # noqa: PLC0415

        return load_nothing("", trust)
    if ":" in source:
        from mdsuite_driver.models.packages import load_by_scheme, scheme_of  # noqa: PLC0415  ase is slow to import

        if scheme_of(source) is not None:
            return load_by_scheme(source, trust=trust)
    path = resolve(source)
    name = source if source in bundled_models() else path.stem
    if (suffix := _graph_kind(path)) is not None:
        return _graph(suffix, name, path, trust=trust)
    checkpoint = _read(path, trust=trust)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return _loader(path, checkpoint)(name, checkpoint, sha256)


def _in_way(way: str, location: str, *, trust: bool) -> Model:
    from mdsuite_driver.models.compiled import load_compiled  # noqa: PLC0415  they load the model by this
    from mdsuite_driver.models.cuda import load_cuda  # noqa: PLC0415

    if way_of(location):
        raise ModelError(f"{in_way(way, location)} names two ways of evaluating a model; leave one of them out")
    return {COMPILED: load_compiled, CUDA: load_cuda}[way](location, trust)


def in_double(model: Model) -> Model:
    """The same model computed in float64; raises ModelError for one that cannot be."""
    if model.card.dtype == DOUBLE:
        return model
    if not isinstance(model, Doubling):
        raise ModelError(
            f"{model.card.name} ({model.card.kind}, {model.card.dtype}) cannot be told to compute in float64; name a "
            "source of it that does"
        )
    return model.double()


def resolve(source: str) -> Path:
    """The file of a model; raises ModelError if there is none that can be read."""
    path = bundled_models().get(source, Path(source))
    if path.is_file():
        return path
    if path.exists():
        raise ModelError(f"wanted a model file, but {source} is a folder")
    near = difflib.get_close_matches(source, bundled_models(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"bundled models are {', '.join(bundled_models())}"
    raise ModelError(f"wanted a model, but there is no file {source}; {hint}")


def _graph_kind(path: Path) -> str | None:
    """.onnx, .pt2 or .ts for a file that holds a graph, None for a checkpoint."""
    if path.suffix in (".onnx", ".pt2"):
        return path.suffix
    return ".ts" if _is_torchscript(path) else None


def _graph(kind: str, name: str, path: Path, *, trust: bool) -> Model:
    from mdsuite_driver.models.exported import load_onnx, load_package, load_torchscript  # noqa: PLC0415

    if kind == ".onnx":
        return load_onnx(name, path)
    if not trust:
        raise ModelError(f"{path} holds code that would be run; if you trust its origin, say so with --trust")
    return load_package(name, path) if kind == ".pt2" else load_torchscript(name, path)


def _read(path: Path, *, trust: bool) -> Checkpoint:
    import torch  # noqa: PLC0415  takes seconds

    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is not a checkpoint of plain tensors: reading it would run code stored in it. If you trust its "
            f"origin, say so with --trust ({first_line(error)})"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as a PyTorch checkpoint: {first_line(error)}") from error
    if not isinstance(checkpoint, dict):
        raise ModelError(f"wanted a checkpoint that is a dictionary, but {path} holds a {type(checkpoint).__name__}")
    return checkpoint


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _loader(path: Path, checkpoint: Checkpoint) -> Loader:
    if "format" in checkpoint:
        if checkpoint["format"] not in FORMATS:
            raise ModelError(f"{path} has the format {checkpoint['format']!r}; known are {', '.join(FORMATS)}")
        return FORMATS[checkpoint["format"]]
    return _seed_student


def _painn(name: str, checkpoint: Checkpoint, sha256: str) -> Model:
    from mdsuite_driver.models.painn import load_painn  # noqa: PLC0415

    return load_painn(name, checkpoint, sha256)


def _seed_student(name: str, checkpoint: Checkpoint, sha256: str) -> Model:
    from mdsuite_driver.models.seed_student import load_seed_student  # noqa: PLC0415

    return load_seed_student(name, checkpoint, sha256)


def _classical(name: str, checkpoint: Checkpoint, sha256: str) -> Model:
    from mdsuite_driver.models.classical import load_classical  # noqa: PLC0415

    return load_classical(name, checkpoint, sha256)


def _ace(name: str, checkpoint: Checkpoint, sha256: str) -> Model:
    from mdsuite_driver.models.ace.model import load_ace  # noqa: PLC0415

    return load_ace(name, checkpoint, sha256)


FORMATS: Mapping[str, Loader] = MappingProxyType(
    {
        "mdsuite-painn/1": _painn,
        "mdsuite-ace/1": _ace,
        "mdsuite-lennard-jones/1": _classical,
        "mdsuite-stillinger-weber/1": _classical,
    }
)
