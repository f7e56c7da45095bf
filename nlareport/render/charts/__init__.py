"""The drawings, as Vega-Lite by Altair."""
