-- A message may ask for a delay: it is handed to the broker at once, which delivers it not before this moment. NULL = at
-- once. The broker knows 18 delays only, so the moment may be passed by up to one step between two of them.
ALTER TABLE trade_mq_producer_temp ADD COLUMN deliver_at_ms BIGINT NULL;
