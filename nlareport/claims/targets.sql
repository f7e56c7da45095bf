-- The hardest and the easiest target: whose cross-model cells lie, on average, lowest and highest below its ceiling.
-- Asks whether the two targets' fractions do not overlap. No answer with fewer than two targets.
-- Parameters: none.
-- Rows: claims.reading.ClaimFigures, exactly one.
WITH
target AS (
    SELECT
        any_value(t.label) AS label,
        any_value(t.ordinal) AS ordinal,
        min(c.ceiling_fraction) AS lowest,
        max(c.ceiling_fraction) AS highest,
        avg(c.ceiling_fraction) AS mean_fraction
    FROM cell AS c
    JOIN pair AS t ON t.pair_id = c.target
    JOIN cell_kind AS k ON k.source = c.source AND k.target = c.target
    WHERE c.subset = 'all' AND k.is_cross_model AND c.ceiling_fraction IS NOT NULL
    GROUP BY c.target
),
ranked AS (
    SELECT
        *,
        row_number() OVER (ORDER BY mean_fraction, ordinal) AS hard,
        row_number() OVER (ORDER BY mean_fraction DESC, ordinal DESC) AS easy
    FROM target
)
SELECT
    CASE WHEN count(*) > 1
        THEN max(highest) FILTER (WHERE hard = 1) < min(lowest) FILTER (WHERE easy = 1)
    END AS holds,
    CAST(json_object(
        'hardest', max(label) FILTER (WHERE hard = 1),
        'hardest_fractions', [max(lowest) FILTER (WHERE hard = 1), max(highest) FILTER (WHERE hard = 1)],
        'easiest', max(label) FILTER (WHERE easy = 1),
        'easiest_fractions', [max(lowest) FILTER (WHERE easy = 1), max(highest) FILTER (WHERE easy = 1)]
    ) AS VARCHAR) AS figures
FROM ranked;
