"""The site of these pages: ``sphinx-build -W --keep-going -n docs docs/_build``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sphinx.application import Sphinx  # noqa: E402
from sphinx.ext.napoleon import Config, GoogleDocstring  # noqa: E402

import recursive  # noqa: E402

project = "recursive"
author = "the authors of recursive"
project_copyright = "MIT licensed"
release = version = recursive.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"recursive {release}"
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

# Docstrings give types with shapes; an annotation such as TensorVariable has neither.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = True

# The pages are built without a network, so names of other projects have no links.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|pt|pytensor|matplotlib|collections|typing)\..*"),
    ("py:exc", r"(ValueError|AttributeError|KeyError|IndexError|TypeError|OSError)"),
]


def as_google_docstring(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Read ``Args:`` and ``Raises:``.

    Napoleon itself would take the words before a colon in a property for a type.
    """
    if what not in ("attribute", "property", "data"):
        lines[:] = GoogleDocstring(
            lines, Config(), app, what, name, thing, options
        ).lines()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", as_google_docstring)
