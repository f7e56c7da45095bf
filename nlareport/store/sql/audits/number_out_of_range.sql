-- Numbers that no measurement gives: an error outside 0 to 4, a score above 1, a V that is not above 0, a norm below 0.
-- Of every draw its own.
-- Parameters: none.
-- Rows: table and column, the row's key, the number.
SELECT place, row_key, value
FROM (
    SELECT 'score.mse_nrm' AS place, item_id || ' ' || source || ' ' || target AS row_key, mse_nrm AS value
    FROM score
    WHERE mse_nrm < -1e-9 OR mse_nrm > 4 + 1e-9
    UNION ALL
    SELECT 'null_score.mse_nrm' AS place, item_id || ' ' || source || ' ' || target AS row_key, mse_nrm AS value
    FROM null_score
    WHERE mse_nrm < -1e-9 OR mse_nrm > 4 + 1e-9
    UNION ALL
    SELECT 'ablation.mse_nrm' AS place, item_id || ' ' || source || ' ' || target AS row_key, mse_nrm AS value
    FROM ablation
    WHERE mse_nrm < -1e-9 OR mse_nrm > 4 + 1e-9
    UNION ALL
    SELECT 'plain_reading.mse_nrm' AS place, item_id || ' ' || target AS row_key, mse_nrm AS value
    FROM plain_reading
    WHERE mse_nrm < -1e-9 OR mse_nrm > 4 + 1e-9
    UNION ALL
    SELECT 'score.fve_nrm' AS place, item_id || ' ' || source || ' ' || target AS row_key, fve_nrm AS value
    FROM score
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'cell.fve_nrm' AS place, source || ' ' || target || ' ' || subset AS row_key, fve_nrm AS value
    FROM cell
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'baseline.fve_nrm' AS place, source || ' ' || target || ' ' || method AS row_key, fve_nrm AS value
    FROM baseline
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'learning_curve.fve_nrm' AS place, source || ' ' || target || ' ' || method AS row_key, fve_nrm AS value
    FROM learning_curve
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'ablation_cell.fve_nrm' AS place, source || ' ' || target || ' ' || method AS row_key, fve_nrm AS value
    FROM ablation_cell
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'cell.share_below_zero' AS place, source || ' ' || target || ' ' || subset AS row_key, share_below_zero AS value
    FROM cell
    WHERE share_below_zero NOT BETWEEN 0 AND 1
    UNION ALL
    SELECT 'cell.n_scored' AS place, source || ' ' || target || ' ' || subset AS row_key, n_scored AS value
    FROM cell
    WHERE n_scored < 0
    UNION ALL
    SELECT 'cell.n_unscored' AS place, source || ' ' || target || ' ' || subset AS row_key, n_unscored AS value
    FROM cell
    WHERE n_unscored < 0
    UNION ALL
    SELECT 'pair.variance_nrm' AS place, CAST(pair_id AS VARCHAR) AS row_key, variance_nrm AS value
    FROM pair
    WHERE variance_nrm <= 0 OR variance_nrm > 4
    UNION ALL
    SELECT 'pair.sidecar_variance_nrm' AS place, CAST(pair_id AS VARCHAR) AS row_key, sidecar_variance_nrm AS value
    FROM pair
    WHERE sidecar_variance_nrm <= 0
    UNION ALL
    SELECT 'pair.mean_norm' AS place, CAST(pair_id AS VARCHAR) AS row_key, mean_norm AS value
    FROM pair
    WHERE mean_norm < -1e-9 OR mean_norm > 1 + 1e-9
    UNION ALL
    SELECT 'pair.injection_scale' AS place, CAST(pair_id AS VARCHAR) AS row_key, injection_scale AS value
    FROM pair
    WHERE injection_scale <= 0
    UNION ALL
    SELECT 'pair.mse_scale' AS place, CAST(pair_id AS VARCHAR) AS row_key, mse_scale AS value
    FROM pair
    WHERE mse_scale <= 0
    UNION ALL
    SELECT 'pair.d_model' AS place, CAST(pair_id AS VARCHAR) AS row_key, d_model AS value
    FROM pair
    WHERE d_model < 1
    UNION ALL
    SELECT 'pair.block_index' AS place, CAST(pair_id AS VARCHAR) AS row_key, block_index AS value
    FROM pair
    WHERE block_index < 0
    UNION ALL
    SELECT 'alignment.activation_norm' AS place, item_id || ' ' || pair_id AS row_key, activation_norm AS value
    FROM alignment
    WHERE activation_norm < 0
    UNION ALL
    SELECT 'alignment.token_index' AS place, item_id || ' ' || pair_id AS row_key, token_index AS value
    FROM alignment
    WHERE token_index < 0
    UNION ALL
    SELECT 'explanation.n_tokens' AS place, item_id || ' ' || source AS row_key, n_tokens AS value
    FROM explanation
    WHERE n_tokens < 0
    UNION ALL
    SELECT 'item.char_end' AS place, CAST(item_id AS VARCHAR) AS row_key, char_end AS value
    FROM item
    WHERE char_end < 0
    UNION ALL
    SELECT 'resemblance.centred_cosine' AS place, item_id || ' ' || source || ' ' || target AS row_key, centred_cosine AS value
    FROM resemblance
    WHERE centred_cosine < -1 - 1e-9 OR centred_cosine > 1 + 1e-9
    UNION ALL
    SELECT 'resemblance.n_nearer' AS place, item_id || ' ' || source || ' ' || target AS row_key, n_nearer AS value
    FROM resemblance
    WHERE n_nearer < 0 OR n_nearer > n_others
    UNION ALL
    SELECT 'best_of_draws.fve_nrm' AS place, source || ' ' || target || ' ' || k AS row_key, fve_nrm AS value
    FROM best_of_draws
    WHERE fve_nrm > 1 + 1e-9
    UNION ALL
    SELECT 'draw_spread.sd_within' AS place, source || ' ' || target AS row_key, sd_within AS value
    FROM draw_spread
    WHERE sd_within < 0
    UNION ALL
    SELECT 'draw_spread.sd_between' AS place, source || ' ' || target AS row_key, sd_between AS value
    FROM draw_spread
    WHERE sd_between < 0
    UNION ALL
    SELECT 'draw_spread.share_within' AS place, source || ' ' || target AS row_key, share_within AS value
    FROM draw_spread
    WHERE share_within < -1e-9 OR share_within > 1 + 1e-9
    UNION ALL
    SELECT 'text_agreement.jaccard' AS place, CAST(source AS VARCHAR) AS row_key, jaccard AS value
    FROM text_agreement
    WHERE jaccard < -1e-9 OR jaccard > 1 + 1e-9
    UNION ALL
    SELECT 'activation.atypicality' AS place, item_id || ' ' || pair_id AS row_key, atypicality AS value
    FROM activation
    WHERE atypicality < -1e-9 OR atypicality > 2 + 1e-9
    UNION ALL
    SELECT 'context_overlap.n_found' AS place, item_id || ' ' || source AS row_key, n_found AS value
    FROM context_overlap
    WHERE n_found > n_words
    UNION ALL
    SELECT 'context_overlap.n_found_elsewhere' AS place, item_id || ' ' || source AS row_key, n_found_elsewhere AS value
    FROM context_overlap
    WHERE n_found_elsewhere > n_words
)
ORDER BY place, row_key, value;
