"""Links from a page to files of the repository beside the documentation, which a site does not hold."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

LINK = re.compile(r"\[(?P<text>[^\]]+)\]\(\.\./(?P<path>[^)#]+)\)")


def process(app: Sphinx, docname: str, source: list[str]) -> None:
    """The path in place of the link; a file that is not there is a warning."""

    def named(link: re.Match[str]) -> str:
        target = (Path(app.srcdir, docname).parent / ".." / link["path"]).resolve()
        if target.is_relative_to(app.srcdir):
            return link[0]
        if not target.exists():
            logging.getLogger(__name__).warning("there is no %s", link["path"], location=docname)
        path = f"`{link['path']}`"
        return path if link["text"].strip("`") == link["path"] else f"{link['text']} ({path})"

    source[0] = LINK.sub(named, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """For every page."""
    app.connect("source-read", process)
    return {"parallel_read_safe": True}
