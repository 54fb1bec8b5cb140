-- The course's coupon as it was before its order: 20.00, unused, no minimum, no end. Idempotent.
INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id, order_id, is_used, used_ms, minimum_fen)
SELECT s.* FROM (SELECT 345988230098857984 AS a, 2000 AS b, 345963634385633280 AS c, NULL AS d, 0 AS e, NULL AS f, 0 AS g) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_coupon WHERE coupon_id = 345988230098857984);
