-- The course's goods as they were before its order: 1000 on the shelf. Idempotent.
INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, goods_desc, add_ms)
SELECT s.* FROM (SELECT 345959443973935104 AS a, 'Javase课程' AS b, 1000 AS c, 100000 AS d, '传智播客出品Java视频课程' AS e, 1562675880000 AS f) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_goods WHERE goods_id = 345959443973935104);
INSERT INTO trade_goods_number_log (ref_id, goods_id, log_type, goods_number, log_ms)
SELECT s.* FROM (SELECT 0 AS a, 345959443973935104 AS b, 0 AS c, 1000 AS d, 1562675880000 AS e) AS s
WHERE NOT EXISTS (SELECT 1 FROM trade_goods_number_log WHERE ref_id = 0 AND goods_id = 345959443973935104 AND log_type = 0);
