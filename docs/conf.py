"""How Sphinx makes the documentation: ``sphinx-build -W docs public``."""

import sys
from pathlib import Path

import mdsuite

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "mdsuite"
author = "the mdsuite developers"
project_copyright = "the mdsuite developers, MIT licence"
version = release = mdsuite.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "docstrings",
    "judged",
    "repository",
]
exclude_patterns = ["confusion.md", "extensions"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
napoleon_numpy_docstring = True
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
default_role = "py:obj"
copybutton_prompt_text = "$ "

smartquotes_action = "qe"  # two dashes begin an option
html_theme = "furo"
html_title = f"mdsuite {release}"
