"""Models of other packages, each by its own loader: ``mace:FILE``, ``chgnet:``, and so on.

Third parties add theirs by an entry point of the group ``mdsuite.models``, whose name is what stands before the colon,
and which is a function from what stands behind it, and whether the file is trusted, to a `Model`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from mdsuite_driver.models.ase_calculator import AseModel, load_ase_calculator, typed
from mdsuite_driver.models.protocol import NOTHING, Model, ModelCard, ModelError, first_line

GROUP = "mdsuite.models"

Load = Callable[[str, bool], Model]
"""From what stands behind the colon, and whether a file's code may be run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package whose models come as an ASE calculator.

    scheme : what a source begins with
    module : what is imported, to see whether it is installed
    install : what brings it
    make : from a file (or "" for the weights that the package brings) and options to a calculator
    facts : from a calculator to what its card can say
    """

    scheme: str
    module: str
    install: str
    make: Callable[..., Any]
    facts: Callable[[Any], Mapping[str, Any]]

    def load(self, location: str, trust: bool) -> Model:
        """The model of a file; raises ModelError."""
        file, _, query = location.partition("?")
        self._require(file, trust)
        options = {key: typed(text) for key, text in parse_qsl(query)}
        try:
            calculator = self.make(file, **options)
            facts = self.facts(calculator)
        except Exception as error:  # whatever the package raises
            raise ModelError(f"{self.scheme} cannot load {file or 'its own weights'}: {_said(error)}") from error
        return AseModel(calculator, _card(self, location, file, facts))

    def _require(self, file: str, trust: bool) -> None:
        if file and not Path(file).is_file():
            raise ModelError(f"wanted a model of {self.scheme}, but there is no file {file}")
        if file and not trust:
            raise ModelError(f"{file} holds code that would be run; if you trust its origin, say so with --trust")
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            raise ModelError(f"{self.scheme}: needs the package {self.module}: {self.install} ({error})") from error
        except Exception as error:  # a package that is broken here raises whatever it likes
            raise ModelError(f"{self.scheme}: the package {self.module} cannot be imported: {_said(error)}") from error


def _card(package: Package, location: str, file: str, facts: Mapping[str, Any]) -> ModelCard:
    """What is known: of weights that come with a package, the hash is of the package's name, version and options."""
    content = Path(file).read_bytes() if file else f"{package.module} {_version(package.module)}".encode()
    query = location.partition("?")[2]
    card = ModelCard(
        name=(Path(file).stem if file else package.scheme) + (f"?{query}" if query else ""),
        kind=f"{package.scheme} {_version(package.module)}",
        periodic=True,
        sha256=hashlib.sha256(content + query.encode()).hexdigest(),
    )
    return replace(card, **facts)


def _version(module: str) -> str:
    """What a module, or the package that it is of, says; and without that, what was installed under its name."""
    for name in (module, module.partition(".")[0]):
        if told := getattr(importlib.import_module(name), "__version__", None):
            return str(told)
    with contextlib.suppress(PackageNotFoundError):
        return version(module)
    return "of unknown version"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _network_facts(network: Any) -> dict[str, Any]:
    """Of any torch module: how many parameters, in what precision."""
    parameters = list(network.parameters())
    return {
        "n_parameters": sum(each.numel() for each in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
    }


def _mace(file: str, dtype: str = "float64", device: str = "cpu", **options: Any) -> Any:
    from mace.calculators import MACECalculator  # type: ignore[import-not-found]  # noqa: PLC0415

    return MACECalculator(model_paths=file, device=device, default_dtype=dtype, **options)


def _mace_facts(calculator: Any) -> dict[str, Any]:
    network = calculator.models[0]
    species = tuple(int(z) for z in network.atomic_numbers)
    return {**_network_facts(network), "species": species, "cutoff": float(network.r_max), "conservative": True}


def _chgnet(file: str, device: str = "cpu") -> Any:
    from chgnet.model import CHGNet  # type: ignore[import-not-found]  # noqa: PLC0415
    from chgnet.model.dynamics import CHGNetCalculator  # type: ignore[import-not-found]  # noqa: PLC0415

    return CHGNetCalculator(model=CHGNet.from_file(file) if file else None, use_device=device)


def _chgnet_facts(calculator: Any) -> dict[str, Any]:
    return {**_network_facts(calculator.model), "conservative": True}


def _sevennet(file: str, device: str = "cpu", **options: Any) -> Any:
    from sevenn.calculator import SevenNetCalculator  # type: ignore[import-not-found]  # noqa: PLC0415

    return SevenNetCalculator(file or "7net-0", device=device, **options)


def _sevennet_facts(calculator: Any) -> dict[str, Any]:
    return {**_network_facts(calculator.model), "conservative": True}


def _orb(file: str, architecture: str = "orb_v3_conservative_inf_omat", device: str = "cpu", **options: Any) -> Any:
    from orb_models.forcefield import pretrained  # type: ignore[import-not-found]  # noqa: PLC0415
    from orb_models.forcefield.calculator import ORBCalculator  # type: ignore[import-not-found]  # noqa: PLC0415

    if not file:
        raise ModelError("Orb brings no weights: wanted orb:FILE?architecture=NAME")
    made = getattr(pretrained, architecture)(weights_path=file, device=device, **options)
    return ORBCalculator(made, device=device) if not isinstance(made, tuple) else ORBCalculator(*made, device=device)


def _orb_facts(calculator: Any) -> dict[str, Any]:
    conservative = "conservative" in type(calculator.model).__name__.lower()
    cutoff = float(calculator.model.system_config.radius)
    return {**_network_facts(calculator.model), "conservative": conservative, "cutoff": cutoff}


def _uma(file: str, task: str = "omol", device: str = "cpu", dtype: str = "float32", settings: str = "") -> Any:
    """With one of fairchem's presets, or, as its usual one rounds to TF32, by the weights as they are."""
    import torch  # noqa: PLC0415
    from fairchem.core import FAIRChemCalculator  # type: ignore[import-not-found]  # noqa: PLC0415
    from fairchem.core.units.mlip_unit import load_predict_unit  # type: ignore[import-not-found]  # noqa: PLC0415
    from fairchem.core.units.mlip_unit.api.inference import (  # type: ignore[import-not-found]  # noqa: PLC0415
        InferenceSettings,
    )

    plain = InferenceSettings(
        tf32=False,
        activation_checkpointing=False,
        merge_mole=False,
        compile=False,
        base_precision_dtype=getattr(torch, dtype),
    )
    unit = load_predict_unit(file, device=device, inference_settings=settings or plain)
    return FAIRChemCalculator(unit, task_name=task)


def _uma_facts(calculator: Any) -> dict[str, Any]:
    network = calculator.predictor.model
    backbone = network.module.backbone
    conservative = not backbone.regress_config.direct_forces
    return {**_network_facts(network), "cutoff": float(backbone.cutoff), "conservative": conservative}


def _metatomic(file: str, device: str = "cpu", neighbor_skin: float = 0.0, **options: Any) -> Any:
    """Without a skin, for with one the order of the pairs, and so the last digits, depend on earlier positions."""
    from metatomic_ase import MetatomicCalculator  # type: ignore[import-not-found]  # noqa: PLC0415

    return MetatomicCalculator(file, device=device, neighbor_skin=neighbor_skin, **options)


def _metatomic_facts(calculator: Any) -> dict[str, Any]:
    network = calculator.model()
    known = network.capabilities()
    cutoffs = [each.engine_cutoff("Angstrom") for each in network.requested_neighbor_lists()]
    return {
        "name": calculator.metadata().name,
        "n_parameters": sum(each.numel() for each in network.parameters()),
        "dtype": known.dtype,
        "species": tuple(sorted(known.atomic_types)),
        "cutoff": max(cutoffs, default=None),
        "conservative": not calculator.parameters["non_conservative"],
    }


PACKAGES: Mapping[str, Package] = MappingProxyType(
    {
        each.scheme: each
        for each in (
            Package(scheme="mace", module="mace", install="pip install 'mdsuite[mace]'", make=_mace, facts=_mace_facts),
            Package(
                scheme="chgnet",
                module="chgnet",
                install="pip install 'mdsuite[chgnet]'",
                make=_chgnet,
                facts=_chgnet_facts,
            ),
            Package(
                scheme="sevennet",
                module="sevenn",
                install="pip install 'mdsuite[sevennet]'",
                make=_sevennet,
                facts=_sevennet_facts,
            ),
            Package(
                scheme="orb", module="orb_models", install="pip install 'mdsuite[orb]'", make=_orb, facts=_orb_facts
            ),
            Package(
                scheme="uma", module="fairchem.core", install="pip install 'mdsuite[uma]'", make=_uma, facts=_uma_facts
            ),
            Package(
                scheme="metatomic",
                module="metatomic_ase",
                install="pip install 'mdsuite[metatomic]'",
                make=_metatomic,
                facts=_metatomic_facts,
            ),
        )
    }
)


def _ase(location: str, trust: bool) -> Model:
    return load_ase_calculator(f"ase:{location}", trust=trust)


def _nothing(location: str, trust: bool) -> Model:
    from mdsuite_driver.models.nothing import load_nothing  # noqa: PLC0415

    return load_nothing(location, trust)


OURS: Mapping[str, Load] = MappingProxyType(
    {"ase": _ase, NOTHING: _nothing, **{name: each.load for name, each in PACKAGES.items()}}
)
"""By what a source begins with."""


def scheme_of(source: str) -> str | None:
    """What a source begins with, if a model is loaded by it."""
    scheme, colon, _ = source.partition(":")
    return scheme if colon and (scheme in OURS or scheme in _theirs()) else None


def load_by_scheme(source: str, *, trust: bool) -> Model:
    """The model of a source that `scheme_of` knows; raises ModelError."""
    scheme, _, location = source.partition(":")
    if scheme in OURS:
        return OURS[scheme](location, trust)
    point = _theirs()[scheme]
    try:
        loader: Load = point.load()
    except Exception as error:  # whatever somebody else's package raises
        raise ModelError(f"{scheme}: comes from {point.value}, which cannot be imported: {_said(error)}") from error
    return loader(location, trust)


def _theirs() -> Mapping[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=GROUP)}
