"""Renders reports, charts and the site: the only room that knows HTML."""
