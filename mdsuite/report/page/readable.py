"""A report as Markdown and as a page."""

from __future__ import annotations

from pathlib import Path

from mdsuite.files import write_text
from mdsuite.report.page.document import text_page


def write_readable(output: Path, text: str, verdict: str = "") -> Path:
    """Write report.md and report.html, its figures in place already; returns the path of the former."""
    write_text(output / "report.md", text)
    write_text(output / "report.html", text_page(text, output, verdict))
    return output / "report.md"
