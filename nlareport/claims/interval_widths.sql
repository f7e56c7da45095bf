-- The narrowest and the widest interval of a cell over all items, with their items.
-- Asks whether the spread of scores explains more than half of the difference, the number of items the rest: widths go
-- with spread over the root of the number, so that holds when the widths' ratio is above the numbers' ratio. No answer
-- with fewer than two intervals, when all are equally wide, or when the number of items is not known.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
interval_of AS (
    SELECT
        s.label || ' → ' || t.label AS name,
        c.n_scored,
        c.ci_high - c.ci_low AS width,
        row_number() OVER (ORDER BY c.ci_high - c.ci_low, s.ordinal, t.ordinal) AS from_narrowest,
        row_number() OVER (ORDER BY c.ci_high - c.ci_low DESC, s.ordinal, t.ordinal) AS from_widest
    FROM cell AS c
    JOIN pair AS s ON s.pair_id = c.source
    JOIN pair AS t ON t.pair_id = c.target
    WHERE c.subset = 'all' AND c.ci_low IS NOT NULL AND c.ci_high IS NOT NULL
),
ends AS (
    SELECT
        min(width) AS narrowest,
        max(name) FILTER (WHERE from_narrowest = 1) AS narrowest_cell,
        max(n_scored) FILTER (WHERE from_narrowest = 1) AS n_narrowest,
        max(width) AS widest,
        max(name) FILTER (WHERE from_widest = 1) AS widest_cell,
        max(n_scored) FILTER (WHERE from_widest = 1) AS n_widest
    FROM interval_of
)
SELECT
    CASE WHEN narrowest > 0 AND widest > narrowest * (1 + 1e-9)
        THEN n_narrowest / n_widest < widest / narrowest
    END AS holds,
    CAST(json_object(
        'narrowest', narrowest,
        'narrowest_cell', narrowest_cell,
        'n_narrowest', n_narrowest,
        'widest', widest,
        'widest_cell', widest_cell,
        'n_widest', n_widest
    ) AS VARCHAR) AS figures
FROM ends;
