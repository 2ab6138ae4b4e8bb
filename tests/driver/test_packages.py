"""Models of other packages and of third parties: loaded by their own loaders, and held to one contract."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from mdsuite_driver.contract import _LOADED, ModelContract
from mdsuite_driver.models.load import load
from mdsuite_driver.models.packages import PACKAGES
from mdsuite_driver.models.protocol import Configuration, Evaluation, ModelError

STRUCTURES = Path(__file__).parents[2] / "inputs" / "structures"

THIRD = """
import numpy as np
from mdsuite_driver.models.protocol import Evaluation, ModelCard


class Springs:
    def __init__(self, stiffness):
        self.stiffness = stiffness
        self.card = ModelCard(
            name=f"springs {stiffness}", kind="springs to the centre", dtype="float64", n_parameters=1, species=None,
            cutoff=None, conservative=True, periodic=False, sha256="0" * 64,
        )

    def evaluate(self, configuration):
        arms = configuration.positions - configuration.positions.mean(axis=0)
        forces = -self.stiffness * arms
        return Evaluation(energy=0.5 * self.stiffness * float((arms**2).sum()), forces=forces, virial=arms.T @ forces)


def load(location, trust):
    return Springs(float(location))
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with an entry point, as pip would install it."""
    (tmp_path / "springs_for_tests.py").write_text(THIRD)
    info = tmp_path / "springs_for_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: springs-for-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mdsuite.models]\nsprings = springs_for_tests:load\nlost = nowhere:load\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("third_party")
def test_a_model_of_a_third_party_is_found_by_its_entry_point():
    assert load("springs:2.5").card.name == "springs 2.5"


@pytest.mark.usefixtures("third_party")
def test_a_third_party_that_cannot_be_imported_is_named():
    with pytest.raises(ModelError, match="lost: comes from nowhere:load, which cannot be imported"):
        load("lost:x")


@pytest.mark.parametrize("scheme", sorted(PACKAGES))
def test_a_package_that_is_missing_says_what_to_install(scheme: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, PACKAGES[scheme].module, None)
    with pytest.raises(ModelError, match=rf"pip install 'mdsuite\[{scheme}\]'"):
        load(f"{scheme}:")


def test_a_file_of_a_package_that_is_not_there_is_named():
    with pytest.raises(ModelError, match=r"no file nowhere\.model"):
        load("mace:nowhere.model", trust=True)


def test_code_in_a_file_of_a_package_is_run_only_with_trust(tmp_path: Path):
    (tmp_path / "x.model").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="--trust"):
        load(f"mace:{tmp_path / 'x.model'}")


class TestPainn(ModelContract):
    source = "painn-ultra-tiny"
    structure = str(STRUCTURES / "ethanol.extxyz")


class TestPeriodicReference(ModelContract):
    source = "silicon-sw"
    structure = str(STRUCTURES / "silicon.extxyz")


class TestCalculator(ModelContract):
    source = "ase:mdsuite_driver.zoo:clean?host=argon"
    structure = str(STRUCTURES / "argon.extxyz")


class Broken(ModelContract):
    """Forces that are a third too large, and a virial of the wrong sign."""

    structure = str(STRUCTURES / "argon.extxyz")


@pytest.mark.parametrize(
    ("source", "test"),
    [
        ("scaled?host=argon&strength=0.33", "test_forces_are_in_the_units_of_the_energy"),
        ("virial_of_positions?strength=1", "test_the_virial_is_the_derivative_by_the_strain"),
        ("noisy?host=argon&strength=0.01", "test_the_same_question_has_the_same_answer"),
    ],
)
def test_the_contract_finds_what_breaks_it(source: str, test: str):
    of = Broken()
    of.source = f"ase:mdsuite_driver.zoo:{source}"  # type: ignore[misc]
    with pytest.raises(AssertionError):
        getattr(of, test)()


class Greedy:
    """Moves the atoms that it is asked about."""

    def __init__(self) -> None:
        self.card = load("argon-lj").card

    def evaluate(self, configuration: Configuration) -> Evaluation:
        configuration.positions[0] += 0.01
        return load("argon-lj").evaluate(configuration)


def test_the_contract_finds_a_model_that_moves_the_atoms(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(_LOADED, "greedy", Greedy())
    of = Broken()
    of.source = "greedy"  # type: ignore[misc]
    with pytest.raises(AssertionError):
        of.test_the_question_is_left_as_it_is()


@pytest.mark.slow
class TestChgnet(ModelContract):
    """With the weights that come with the package: pip install 'mdsuite[chgnet]'."""

    source = "chgnet:"
    structure = str(STRUCTURES / "silicon.extxyz")
    accuracy = 1e-2  # single precision


@pytest.mark.slow
class TestSevennet(ModelContract):
    """With the weights that come with the package: pip install 'mdsuite[sevennet]'."""

    source = "sevennet:"
    structure = str(STRUCTURES / "silicon.extxyz")
    accuracy = 1e-2


def require_contract(source: str, structure: str, accuracy: float = 1e-4) -> None:
    contract = ModelContract()
    contract.source, contract.structure, contract.accuracy = source, structure, accuracy  # type: ignore[misc]
    for name in (each for each in dir(contract) if each.startswith("test_")):
        getattr(contract, name)()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conservative", "direct"])
def test_an_orb_with_random_weights_keeps_the_contract(tmp_path: Path, kind: str):
    """Pip install 'mdsuite[orb]'."""
    import torch
    from orb_models.forcefield import pretrained

    torch.manual_seed(0)
    before = torch.get_default_dtype()
    system = pretrained.SystemConfig(radius=6.0, max_num_neighbors=20 if kind == "direct" else 120)
    network = getattr(pretrained, f"orb_v3_{kind}_architecture")(device="cpu", system_config=system)
    torch.save(network.state_dict(), tmp_path / "random.ckpt")
    architecture = f"orb_v3_{kind}_{'20' if kind == 'direct' else 'inf'}_omat"
    source = f"orb:{tmp_path / 'random.ckpt'}?architecture={architecture}&compile=false&precision=float64"
    try:
        card = load(source, trust=True).card
        assert (card.conservative, card.cutoff) == (kind == "conservative", 6.0)
        if kind == "conservative":  # random forces that are no gradient are in no unit of the energy
            require_contract(source, str(STRUCTURES / "silicon.extxyz"))
    finally:
        torch.set_default_dtype(before)


@pytest.mark.slow
def test_a_mace_with_random_weights_keeps_the_contract(tmp_path: Path):
    """Pip install 'mdsuite[mace]'."""
    import torch
    from e3nn import o3
    from mace import modules

    torch.manual_seed(0)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        network = modules.ScaleShiftMACE(
            r_max=5.0,
            num_bessel=4,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=block,
            interaction_cls_first=block,
            num_interactions=2,
            num_elements=2,
            hidden_irreps=o3.Irreps("4x0e+4x1o"),
            MLP_irreps=o3.Irreps("4x0e"),
            gate=torch.nn.functional.silu,
            atomic_energies=np.array([[-1.0, -2.0]]),
            avg_num_neighbors=8.0,
            atomic_numbers=[1, 14],
            correlation=2,
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
        )
        torch.save(network, tmp_path / "random.model")
    finally:
        torch.set_default_dtype(before)
    require_contract(f"mace:{tmp_path / 'random.model'}", str(STRUCTURES / "silicon.extxyz"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the package
def test_a_metatomic_model_with_random_weights_keeps_the_contract(tmp_path: Path):
    """Pip install 'mdsuite[metatomic]'."""
    from metatomic_pairs import save

    save(tmp_path / "random.pt")
    source = f"metatomic:{tmp_path / 'random.pt'}"
    card = load(source, trust=True).card
    assert re.match(r"metatomic \d", card.kind)
    assert (card.name, card.species, card.cutoff, card.dtype, card.n_parameters, card.conservative) == (
        *("random pairs", (14,), 5.0, "float64", 8, True),
    )
    require_contract(source, str(STRUCTURES / "silicon.extxyz"))


UMA_UNIT = "fairchem.core.units.mlip_unit.mlip_unit"
UMA_MODEL = {
    "_target_": "fairchem.core.models.base.HydraModel",
    "pass_through_head_outputs": True,
    "heads": {"efs": {"module": "fairchem.core.models.uma.escn_md.MLP_EFS_Head"}},
    "backbone": {
        "model": "fairchem.core.models.uma.escn_md.eSCNMDBackbone",
        **dict.fromkeys(("sphere_channels", "hidden_channels", "edge_channels"), 8),
        "num_distance_basis": 16,
        "num_layers": 1,
        "cutoff": 5.0,
        "otf_graph": True,
        "direct_forces": False,
        "regress_stress": True,
        "dataset_mapping": {"omat": "omat"},
        "always_use_pbc": False,
    },
}


def save_random_uma(path: Path) -> None:
    """A checkpoint as fairchem writes them for inference, of a small network with random weights."""
    import hydra
    import torch
    from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint

    torch.manual_seed(0)
    weights = hydra.utils.instantiate(UMA_MODEL).state_dict()
    tasks = [
        {
            "_target_": f"{UMA_UNIT}.Task",
            **{"name": name, "property": name, "level": level, "datasets": ["omat"]},
            "out_spec": {"_target_": f"{UMA_UNIT}.OutputSpec", "dim": dim, "dtype": "float32"},
            "normalizer": {"_target_": "fairchem.core.modules.normalization.normalizer.Normalizer"},
        }
        for name, level, dim in (("energy", "system", [1]), ("forces", "atom", [3]), ("stress", "system", [1, 9]))
    ]
    averaged = {"n_averaged": torch.tensor(1), **{f"module.{name}": value for name, value in weights.items()}}
    torch.save(
        MLIPInferenceCheckpoint(
            model_config=UMA_MODEL, model_state_dict=weights, ema_state_dict=averaged, tasks_config=tasks
        ),
        path,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of the package
def test_an_uma_with_random_weights_keeps_the_contract(tmp_path: Path):
    """Pip install 'mdsuite[uma]'."""
    save_random_uma(tmp_path / "random.pt")
    source = f"uma:{tmp_path / 'random.pt'}?task=omat&dtype=float64"
    card = load(source, trust=True).card
    assert (card.cutoff, card.dtype, card.conservative) == (5.0, "float64", True)
    assert re.match(r"uma \d", card.kind)
    require_contract(source, str(STRUCTURES / "silicon.extxyz"))
