-- A hold says until when it may stand (`due_ms`): past that the order service is asked what became of its order. Holds
-- made before had no such time, and nobody would have asked about them; they get the default of `goods.hold_timeout_s`.
UPDATE trade_goods_hold SET due_ms = create_ms + 2100000 WHERE state = 1 AND due_ms IS NULL;
