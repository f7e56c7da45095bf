"""The cellar: alone knows DuckDB and how runs lie on disk."""
