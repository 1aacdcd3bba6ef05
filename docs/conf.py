"""How Sphinx builds the guide. Tables of options are made from the code, so that they cannot be out of date."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from tables import substitutions  # it stands there

project = "sessionbag"
author = "The sessionbag developers"
copyright = "the sessionbag developers"  # noqa: A001  # Sphinx reads it by this name
release = version = version_of("sessionbag")

extensions = [
    "benchmark_charts",
    "captions",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_ext"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = substitutions()
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"sessionbag {release}"
html_static_path = ["_static"]
html_css_files = ["guide.css"]
html_show_sourcelink = False
html_use_index = False  # it is searched, and its lines are wider than a page
html_domain_indices = False
copybutton_prompt_text = "$ "

# The reference is made of the docstrings: a name in single backquotes is a link where the guide knows it.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_default_options = {
    "members": True,
    "inherited-members": "Exception, object, tuple, MutableMapping, Mapping, IntEnum",
    "exclude-members": "count, index, for_request",
}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
