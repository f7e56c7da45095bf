-- Each cell over all items, without the flagged outliers, and per stratum of the item's token, with intervals.
-- Parameters: none.
-- Rows: render.report.query_rows.SubsetRow; none when the run knows no subset but all.
SELECT
    c.source,
    c.target,
    any_value(s.label) AS source_label,
    any_value(t.label) AS target_label,
    c.source = c.target AS is_diagonal,
    max(c.fve_nrm) FILTER (WHERE c.subset = 'all') AS fve_all,
    max(c.ci_low) FILTER (WHERE c.subset = 'all') AS all_low,
    max(c.ci_high) FILTER (WHERE c.subset = 'all') AS all_high,
    max(c.fve_nrm) FILTER (WHERE c.subset = 'without_outliers') AS fve_without_outliers,
    max(c.ci_low) FILTER (WHERE c.subset = 'without_outliers') AS without_outliers_low,
    max(c.ci_high) FILTER (WHERE c.subset = 'without_outliers') AS without_outliers_high,
    max(c.fve_nrm) FILTER (WHERE c.subset = 'prose') AS fve_prose,
    max(c.ci_low) FILTER (WHERE c.subset = 'prose') AS prose_low,
    max(c.ci_high) FILTER (WHERE c.subset = 'prose') AS prose_high,
    max(c.fve_nrm) FILTER (WHERE c.subset = 'punctuation') AS fve_punctuation,
    max(c.ci_low) FILTER (WHERE c.subset = 'punctuation') AS punctuation_low,
    max(c.ci_high) FILTER (WHERE c.subset = 'punctuation') AS punctuation_high,
    max(c.fve_nrm) FILTER (WHERE c.subset = 'digits') AS fve_digits,
    max(c.ci_low) FILTER (WHERE c.subset = 'digits') AS digits_low,
    max(c.ci_high) FILTER (WHERE c.subset = 'digits') AS digits_high
FROM cell AS c
JOIN pair AS s ON s.pair_id = c.source
JOIN pair AS t ON t.pair_id = c.target
WHERE (SELECT count(*) FROM cell WHERE subset <> 'all') > 0
GROUP BY c.source, c.target
ORDER BY any_value(s.ordinal), any_value(t.ordinal);
