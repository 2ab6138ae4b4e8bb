"""A commented campaign for a user's own model and structures, tried before it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdsuite.campaign import read_campaign, seen_from
from mdsuite.errors import InputError
from mdsuite.files import whole
from mdsuite.plan import Plan, make_plan
from mdsuite.report.markdown import rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a user has said of a campaign."""

    models: Sequence[str]
    structures: Sequence[str]
    engine: Sequence[str]
    temperature_K: float  # noqa: N815  the unit's symbol
    timestep_fs: float
    time_ps: float
    horizon_ps: float
    trust: bool

    def words(self, file: Path) -> Mapping[str, Any]:
        """What the file says, sources of files as they are found from its folder."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        for name in ("models", "structures"):
            facts[name] = [seen_from(file.resolve().parent, each) for each in facts[name]]
        return {**facts, "file": file.name}


def write_draft(draft: Draft, file: Path) -> Plan:
    """Write it, and return what it plans; raises InputError for what cannot be, and for a file that is there."""
    if file.exists():
        raise InputError(f"{file} is there already; name another file, or remove it")
    if not file.resolve().parent.is_dir():
        raise InputError(f"wanted a file in a folder that is there, got {file}")
    with whole(file) as temporary:
        temporary.write_text(rendered("campaign.toml.j2", draft.words(file), quoted=json.dumps))
        return make_plan(read_campaign(temporary, {}))
