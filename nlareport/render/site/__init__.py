"""The mkdocs site: home page, reference, style and build."""
