"""How Sphinx builds the guide. Tables of options are made from the code, so that they cannot be out of date."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sessionbag.config import option_table

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sessionbag"
author = "The sessionbag developers"
copyright = "the sessionbag developers"  # noqa: A001  # Sphinx reads it by this name
release = version = version_of("sessionbag")

extensions = ["benchmark_charts", "myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_ext"]
html_static_path = ["_static"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"options": option_table()}
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"sessionbag {release}"
copybutton_prompt_text = "$ "

# The reference is made of the docstrings: a name in single backquotes is a link where the guide knows it.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
