"""Configuration of Sphinx."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import moopim

project = "moopim"
author = "The moopim authors"
copyright = author
release = version = moopim.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "gallery"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
# MathML of docutils: browsers show it without a script from elsewhere.
html_math_renderer = "mathml"
html_title = f"moopim {release}"

# Docstrings are in Google style; a name in single backticks is a reference where it is documented here.
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100

_SECTION = re.compile(r"(Args|Returns|Raises|Yields|Example):$")
_properties: dict[str, list[str]] = {}


def _before_napoleon(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    if what == "property" and not any(_SECTION.match(line) for line in lines):
        _properties[name] = list(lines)


def _after_napoleon(app: Sphinx, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    # napoleon takes what stands before a colon in the docstring of a property for its type.
    lines[:] = _properties.pop(name, lines)


def _skip_field(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: Any) -> bool | None:
    # Fields of named tuples are documented with their class; Python says no more of them than their number.
    return True if type(obj).__name__ == "_tuplegetter" else None


def _inline_math(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_math(translator: HTML5Translator, node: nodes.math_block) -> None:
    # Aligned lines in a docstring need no environment around them.
    tex = node.astext()
    aligned = f"\\begin{{aligned}}{tex}\\end{{aligned}}" if "&" in tex or r"\\" in tex else tex
    # Room for large symbols, which the theme would put behind a scroll bar.
    translator.body.append(f'<div style="padding: 0.5em 0">{tex2mathml(aligned, as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Show mathematics, keep the docstrings of properties, and the fields of named tuples with their class."""
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-skip-member", _skip_field)
    app.connect("autodoc-process-docstring", _before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", _after_napoleon, priority=600)
