"""Files and folders: read within bounds, written whole or not at all."""
