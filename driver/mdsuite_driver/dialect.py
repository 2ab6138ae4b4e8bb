"""What the two ends of mdsuite say to each other beyond i-PI, inside INIT's text and the extras of FORCEREADY.

A server announces itself by JSON with the key "mdsuite" in INIT. Only then does a client answer with anything that
plain i-PI does not know: the proof that the supervisor started it, and failures with their traceback.
"""

from __future__ import annotations

import hmac
import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeGuard

import numpy as np

from mdsuite_driver.models.protocol import Evaluation, IntArray
from mdsuite_driver.soundness import UnsoundError
from mdsuite_driver.wire import WireError

TOKEN = "MDSUITE_TOKEN"  # environment variable of a driver that was started by a supervisor
MODEL_ERROR = "model_error"
HIGHEST_Z = 118
LARGEST_LIMIT = 1e100  # eV/Å, squares of it are still numbers
LONGEST_TRACEBACK = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Species:
    """What i-PI's positions leave unsaid: atomic numbers (n_atoms,) and periodicity."""

    numbers: IntArray
    pbc: tuple[bool, bool, bool]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What an mdsuite server asks of its client.

    max_force : the largest force (eV/Å) that it accepts
    persist : whether the client goes on after it has told that an evaluation failed
    n_members : how many configurations, of equally many atoms, travel as one, as `mdsuite_driver.pack` has them
    """

    species: Species
    max_force: float | None
    persist: bool = False
    n_members: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a client has no evaluation: `kind` is MODEL_ERROR or that of an UnsoundError."""

    kind: str
    message: str
    traceback: str


def announce(species: Species, max_force: float | None, *, persist: bool = False, n_members: int = 1) -> str:
    """INIT's text of an mdsuite server."""
    asked = {"mdsuite": 1, "numbers": species.numbers.tolist(), "pbc": list(species.pbc), "max_force": max_force}
    more = {**({"persist": True} if persist else {}), **({"members": n_members} if n_members > 1 else {})}
    return json.dumps({**asked, **more})


def read_announcement(text: str) -> Announcement | None:
    """What an INIT's text announces; None for anybody else's. Raises WireError for one of ours that is malformed."""
    content = read_ours(text)
    if "numbers" not in content:
        return None
    numbers, pbc, limit = content["numbers"], content.get("pbc"), content.get("max_force")
    persist, n_members = content.get("persist", False), content.get("members", 1)
    if not _is_list_of(numbers, int) or not numbers or not all(1 <= z <= HIGHEST_Z for z in numbers):
        raise WireError(f"INIT must name atomic numbers from 1 to {HIGHEST_Z}, got {str(numbers)[:80]}")
    if not (_is_list_of(pbc, bool) and len(pbc) == 3):
        raise WireError(f"INIT must say of three directions whether they are periodic, got {str(pbc)[:80]}")
    if limit is not None and not (type(limit) in (int, float) and 0 < limit <= LARGEST_LIMIT):
        raise WireError(f"INIT must give the largest force as a positive number or null, got {str(limit)[:80]}")
    if not isinstance(persist, bool):
        raise WireError(f"INIT must say whether to persist by true or false, got {str(persist)[:80]}")
    if not (type(n_members) is int and n_members >= 1 and len(numbers) % n_members == 0):
        raise WireError(f"INIT must divide {len(numbers)} atoms among its members, got {str(n_members)[:80]} of them")
    species = Species(np.array(numbers, dtype=np.int64), (pbc[0], pbc[1], pbc[2]))
    return Announcement(species, None if limit is None else float(limit), persist, n_members)


def challenge(nonce: str) -> str:
    """INIT's text that asks a client to prove that it knows the token."""
    return json.dumps({"mdsuite": 1, "challenge": nonce})


def read_challenge(text: str) -> str | None:
    """The nonce of a challenge, or None if this is none."""
    nonce = read_ours(text).get("challenge")
    return nonce if isinstance(nonce, str) else None


def proof(token: str, nonce: str) -> bytes:
    """What only somebody who knows the token can say of a nonce: their HMAC-SHA256 (RFC 2104), 32 bytes."""
    return hmac.digest(token.encode(), nonce.encode(), "sha256")


def failed(error: BaseException, n_atoms: int) -> tuple[Evaluation, str]:
    """An evaluation that nobody can mistake for one, and the extras that say why."""
    nothing = Evaluation(energy=float("nan"), forces=np.full((n_atoms, 3), np.nan), virial=np.full((3, 3), np.nan))
    return nothing, json.dumps({"mdsuite": 1, "failure": asdict(failure_of(error))})


def failure_of(error: BaseException) -> Failure:
    """What an exception of a model tells of itself."""
    unsound = isinstance(error, UnsoundError)
    return Failure(
        kind=error.kind if isinstance(error, UnsoundError) else MODEL_ERROR,
        message=str(error) if unsound else f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:],
    )


def read_failure(extras: str) -> Failure | None:
    """The failure that an mdsuite client reports in its extras, or None."""
    told = read_ours(extras).get("failure")
    return failure_from(told) if isinstance(told, dict) else None


def failure_from(told: Mapping[str, Any]) -> Failure:
    """As it was told."""
    return Failure(*(str(told.get(key, "")) for key in ("kind", "message", "traceback")))


def read_ours(text: str) -> dict[str, Any]:
    """What a text of an mdsuite client or server says; nothing for anybody else's."""
    if not text.startswith("{"):
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # somebody else's text
        return {}
    return content if isinstance(content, dict) and content.get("mdsuite") == 1 else {}


def _is_list_of(values: Any, kind: type) -> TypeGuard[list[Any]]:
    return isinstance(values, list) and all(type(value) is kind for value in values)
