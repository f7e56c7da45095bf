"""The window: alone knows HTML and charts."""
