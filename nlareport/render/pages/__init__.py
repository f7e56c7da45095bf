"""The other pages of a report: one item, the sample browser, the SQL console, a comparison of two runs."""
