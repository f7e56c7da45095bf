-- How much an import holds and what was computed from it: sources, targets, cells, scores.
-- Parameters: none.
-- Rows: review.import_summary.ImportCounts, exactly one.
SELECT
    (SELECT count(DISTINCT source) FROM cell WHERE subset = 'all') AS n_sources,
    (SELECT count(DISTINCT target) FROM cell WHERE subset = 'all') AS n_targets,
    (SELECT count(*) FROM cell WHERE subset = 'all') AS n_cells,
    (SELECT count(*) FROM cell WHERE subset = 'all' AND fve_nrm IS NOT NULL) AS n_valued,
    (SELECT count(*) FROM cell WHERE subset = 'all' AND ci_low IS NOT NULL) AS n_intervals,
    (SELECT count(*) FROM score) AS n_scores,
    (SELECT count(*) FROM explanation) AS n_texts;
