-- Signs that the text does not show, and texts that show a sign nobody stated.
-- Asked of scripts, leftover tags, tokens of chat formats and empty texts, which SQL can tell; of scripts with a margin on
-- either side of the fifth of letters from which on they count.
-- Parameters: none.
-- Rows: source, item_id, draw, sign, what is wrong.
WITH
written AS (
    SELECT
        source,
        item_id,
        draw,
        coalesce(text, regexp_replace(regexp_replace(completion, '<explanation>', ''), '</explanation>', '')) AS text
    FROM explanation
),
counted AS (
    SELECT
        source,
        item_id,
        draw,
        text,
        length(regexp_replace(text, '[^\p{Lu}\p{Ll}\p{Lt}\p{Lo}]', '', 'g')) AS n_letters,
        length(regexp_replace(text, '[^\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}]', '', 'g')) AS n_cjk
    FROM written
    WHERE text IS NOT NULL
),
sign_of AS (
    SELECT source, item_id, draw, 'cjk' AS sign, n_cjk >= 0.1 * n_letters AND n_cjk > 0 AS may_show,
        n_cjk >= 0.4 * n_letters AND n_cjk > 4 AS must_show
    FROM counted
    UNION ALL
    SELECT source, item_id, draw, 'tag' AS sign, regexp_matches(text, '(?i)explanation|concept') AS may_show,
        regexp_matches(text, '</?explanation>') AS must_show
    FROM counted
    UNION ALL
    SELECT source, item_id, draw, 'special_token' AS sign, regexp_matches(text, '<[^<>]+>|\[[^\[\]]+\]|[Ġ▁]') AS may_show,
        regexp_matches(text, '<\|[a-z_]{1,40}\|>|<(start|end)_of_turn>') AS must_show
    FROM counted
    UNION ALL
    SELECT source, item_id, draw, 'empty' AS sign, n_letters = 0 AS may_show, trim(text, E' \n\r\t') = '' AS must_show
    FROM counted
)
SELECT
    coalesce(e.source, s.source) AS source,
    coalesce(e.item_id, s.item_id) AS item_id,
    coalesce(e.draw, s.draw) AS draw,
    coalesce(e.sign, s.sign) AS sign,
    CASE WHEN s.sign IS NULL THEN 'shown by the text, not stated' ELSE 'stated, not shown by the text' END AS fault
FROM sign_of AS e
FULL JOIN text_sign AS s ON s.source = e.source AND s.item_id = e.item_id AND s.draw = e.draw AND s.sign = e.sign
WHERE (s.sign IS NULL AND e.must_show AND e.source IN (SELECT source FROM text_summary))
    OR (s.sign IN ('cjk', 'tag', 'special_token', 'empty') AND e.may_show IS NOT TRUE)
ORDER BY source, item_id, draw, sign;
