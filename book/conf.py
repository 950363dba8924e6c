"""How Sphinx makes the book; `make book` puts the sources beside each other and calls it."""

project = "Does fine-tuning change why a chest X-ray classifier decides?"
author = "The cxr-semantic-drift authors"
extensions = ["myst_nb"]
root_doc = "book/index"
nb_execution_mode = "off"  # notebooks are shown as they were executed
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
# Files of the repository that are no page of the book: a reader finds them there.
suppress_warnings = ["myst.xref_missing", "myst.header", "mystnb.unknown_mime_type"]
html_theme = "sphinx_book_theme"
html_title = "Evidence before and after fine-tuning"
html_theme_options = {"show_toc_level": 2, "use_download_button": False}
html_show_sourcelink = False
html_copy_source = False
html_last_updated_fmt = None
