-- What shuffling the words and blanking the quotes take from the same-model scores.
-- Asks whether each lowers every one, its interval of the paired drop above 0. No answer unless both were done to every
-- pair that has a same-model score, with an interval.
-- Parameters: none.
-- Rows: render.contexts.ClaimFigures, exactly one.
WITH diagonal AS (
    SELECT
        words.fve_drop AS words_drop,
        words.drop_low AS words_low,
        quotes.fve_drop AS quotes_drop,
        quotes.drop_low AS quotes_low
    FROM cell AS c
    LEFT JOIN ablation_cell AS words
        ON words.source = c.source AND words.target = c.target AND words.method = 'words_shuffled'
    LEFT JOIN ablation_cell AS quotes
        ON quotes.source = c.source AND quotes.target = c.target AND quotes.method = 'quotes_blanked'
    WHERE c.subset = 'all' AND c.source = c.target AND c.fve_nrm IS NOT NULL
)
SELECT
    CASE WHEN count(*) > 0 AND count(words_low) = count(*) AND count(quotes_low) = count(*)
        THEN min(words_low) > 0 AND min(quotes_low) > 0
    END AS holds,
    CAST(json_object(
        'n', count(*),
        'n_words', count(*) FILTER (WHERE words_low > 0),
        'n_quotes', count(*) FILTER (WHERE quotes_low > 0),
        'words_drops', [min(words_drop), max(words_drop)],
        'quotes_drops', [min(quotes_drop), max(quotes_drop)]
    ) AS VARCHAR) AS figures
FROM diagonal;
