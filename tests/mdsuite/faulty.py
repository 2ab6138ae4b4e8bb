"""A model that breaks in a way of one's choice, for ``ase:faulty.py:make?fault=…``.

A fault happens in a driver process only, at evaluation `at`, and with `once` in the first driver only, which then
leaves the file `mark`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator

from mdsuite_driver import client, wire
from mdsuite_driver.models.protocol import Evaluation
from mdsuite_driver.parent import SUPERVISOR
from mdsuite_driver.stream import Stream


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Faulty(Calculator):
    """A smooth repulsion of every pair closer than 5 Å, without any memory of earlier evaluations but their number."""

    implemented_properties = ("energy", "forces")

    def __init__(self, fault: str, at: int) -> None:
        super().__init__()
        self.fault, self.at, self.calls = fault, at, 0

    def calculate(self, atoms: Any = None, *changes: Any) -> None:
        super().calculate(atoms, *changes)
        separation = atoms.positions[:, None] - atoms.positions[None]
        distance = np.linalg.norm(separation, axis=2) + 10.0 * np.eye(len(separation))
        overlap = np.maximum(5.0 - distance, 0.0)
        forces = ((2e-3 * overlap**3 / distance)[:, :, None] * separation).sum(axis=1)
        self.results = {"energy": 0.5 * 5e-4 * float((overlap**4).sum()), "forces": forces}
        self.calls += 1
        if self.calls == self.at:
            EVALUATION.get(self.fault, lambda _results: None)(self.results)


def _raise(_results: dict[str, Any]) -> None:
    raise RuntimeError("out of luck")


def _add(value: float) -> Callable[[dict[str, Any]], None]:
    def change(results: dict[str, Any]) -> None:
        results["forces"][1, 2] += value

    return change


EVALUATION = {
    "kill": lambda _results: die(),
    "segfault": lambda _results: os.kill(os.getpid(), signal.SIGSEGV),
    "freeze": lambda _results: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda _results: os._exit(0),
    "raise": _raise,
    "memory": lambda _results: np.ones(2**50),
    "not-a-number": _add(np.nan),
    "infinite": _add(np.inf),
    "huge": _add(1e5),
    "slow": lambda _results: time.sleep(2.5),
}


def _break_wire(fault: str, at: int) -> None:
    encode, send, init = wire.encode_evaluation, Stream.send, client._Conversation._init
    counter = {"replies": 0, "inits": 0}

    def reply(evaluation: Evaluation, extras: str = "") -> bytes:
        counter["replies"] += 1
        if counter["replies"] != at:
            return encode(evaluation, extras)
        if fault == "garbage":
            return b"\xff" * 300
        if fault == "count":
            evaluation = Evaluation(energy=evaluation.energy, forces=evaluation.forces[:-1], virial=evaluation.virial)
        if fault == "shear":
            skewed = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
            evaluation = Evaluation(energy=evaluation.energy, forces=evaluation.forces, virial=skewed)
        return encode(evaluation, extras)

    def send_header_and_die(self: Stream, data: bytes) -> None:
        if data.startswith(wire.header(wire.FORCEREADY)) and counter["replies"] == at:
            send(self, data[: wire.HEADER_SIZE])
            die()
        send(self, data)

    def die_at_init(self: Any) -> None:
        counter["inits"] += 1
        if counter["inits"] == {"kill-at-the-door": 1, "kill-in-the-handshake": 2}[fault]:
            die()
        init(self)

    if fault in ("garbage", "count", "shear"):
        wire.encode_evaluation = reply
    if fault == "kill-after-the-header":
        wire.encode_evaluation = reply
        Stream.send = send_header_and_die
    if fault in ("kill-at-the-door", "kill-in-the-handshake"):
        client._Conversation._init = die_at_init


def make(fault: str = "none", at: int = 30, once: bool = True, mark: str = "") -> Faulty:
    if SUPERVISOR not in os.environ or (once and mark and Path(mark).exists()):
        return Faulty("none", at)
    if mark:
        Path(mark).touch()
    if fault == "kill-before-it-connects":
        die()
    if fault == "exit-before-it-connects":
        os._exit(4)
    _break_wire(fault, at)
    return Faulty(fault, at)
