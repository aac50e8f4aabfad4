"""The site: ``make docs`` builds it from these pages and the docstrings, and fails at what leads nowhere."""

import sys
from pathlib import Path

import warpprior

sys.path.insert(0, str(Path(__file__).parent))

project = "warpprior"
author = "The warpprior authors"
release = version = warpprior.__version__
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "repository_pages"]
exclude_patterns = ["__pycache__"]
templates_path: list[str] = []

# Markdown: headings get the anchors GitHub gives them, and links to files of the repository lead to pages of the site.
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "repository": "{{path}}"}

# Docstrings say arrays, units and frames in words; what the signature says of types is shown once, in it.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False  # what stands before a colon in "Returns" is prose
napoleon_custom_sections = [("Attributes", "params_style")]
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False

# Every reference must resolve; these are names of other projects, whose indexes would have to be fetched.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(np|numpy|npt|wp|warp|torch|scipy|trimesh|argparse|pxr|Sdf|Usd|UsdGeom)(\..*)?"),
    ("py:.*", r"(pathlib\.|collections\.abc\.|typing\.|os\.|enum\.|dataclasses\.)?[A-Z]\w*(Error|Warning|Enum)"),
    ("py:.*", r"(pathlib\.)?(Path|PurePath)|os\.PathLike|PathLike"),
    (
        "py:.*",
        r"(collections\.abc\.|typing\.)?(Any|Callable|Generator|Iterable|Iterator|Literal|Mapping|Sequence)(\[.*)?",
    ),
    ("py:.*", r"int|float|str|bool|bytes|dict|list|tuple|set|frozenset|object|type|None|slice|complex|property"),
]

html_theme = "furo"
html_title = "warpprior"
html_copy_source = False
html_show_sphinx = False
