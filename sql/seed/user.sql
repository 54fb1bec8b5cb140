-- The course's user as he was before its order: balance 1000.00, score 100, no password. Idempotent.
INSERT INTO trade_user (user_id, user_name, user_password, user_mobile, user_score, user_reg_ms, user_money_fen)
SELECT s.* FROM (SELECT 345963634385633280 AS a, 'zs' AS b, NULL AS c, '18888888888' AS d, 100 AS e, 1602288000000 AS f, 100000 AS g) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_user WHERE user_id = 345963634385633280);
INSERT INTO trade_user_money_log (ref_id, user_id, money_log_type, use_money_fen, create_ms)
SELECT s.* FROM (SELECT 0 AS a, 345963634385633280 AS b, 0 AS c, 100000 AS d, 1602288000000 AS e) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_user_money_log WHERE ref_id = 0 AND user_id = 345963634385633280 AND money_log_type = 0);
INSERT INTO trade_user_score_log (ref_id, user_id, log_type, score, create_ms)
SELECT s.* FROM (SELECT 0 AS a, 345963634385633280 AS b, 0 AS c, 100 AS d, 1602288000000 AS e) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_user_score_log WHERE ref_id = 0 AND user_id = 345963634385633280 AND log_type = 0);
