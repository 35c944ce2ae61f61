"""How Sphinx makes pages of this directory: ``sphinx-build -W docs html``.

The sources are plain reStructuredText, readable as they are: pages are linked by the names of their
files, and the index is a list with descriptions. ``extensions`` make of both what Sphinx wants.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

from s3pp import __version__  # noqa: E402

project = "s3pp"
author = "the s3pp authors"
release = version = __version__

extensions = ["contents", "file_links", "command_reference"]
nitpicky = True
highlight_language = "text"  # of blocks that name none
smartquotes = False  # options begin with two hyphens

html_theme = "furo"
html_title = f"s3pp {release}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["tables.css"]
