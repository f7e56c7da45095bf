"""Claims: the sentences a report may say, each as ID.yaml (its text) next to ID.sql (the query that checks it)."""
