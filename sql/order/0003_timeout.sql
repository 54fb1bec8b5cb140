-- Time-out of payment: an order that is not paid by `pay_deadline_ms` is closed first and cancelled then. While
-- `closing_ms` is set the status stays 1: no payment may be begun, one that was begun still binds and clears it.
-- Since then `due_ms` of a confirmed, unpaid order is its deadline, so that the sweeper finds it.
--
-- `cancel_cause`: 1 refused in the saga, 2 recovery, 3 user, 4 not paid in time, 5 refund of a paid order.
-- `owed`: bits 1 stock, 2 coupon, 4 balance, 8 close of payments, 16 refund of the payment bound to it.
ALTER TABLE trade_order ADD COLUMN closing_ms BIGINT NULL;

UPDATE trade_order SET due_ms = pay_deadline_ms WHERE order_status = 1 AND pay_status <> 2 AND due_ms IS NULL;
