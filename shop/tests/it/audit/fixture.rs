//! Rows of a shop in which all that can happen has happened, and all is well; and rows of work in flight.
//!
//! Users 11 and 12, goods 1 and 2, coupons 21 to 23. Orders: 101 paid, 102 cancelled by its buyer, 103 refused before
//! anything was taken, 104 paid too late, 105 paid twice (and partly refunded by an operator), 106 paid from the balance, 107 unpaid, 108 being paid (and
//! once paid the wrong amount), 110 paid and refunded. A payment has the number of its order plus 100, a refund plus 200.

use shop::audit::Schemas;
use shop_common::{
    db::Db,
    migrate::{SqlFile, seed},
    time::Millis,
};
use shop_testkit::{TestDb, databases};

use sea_orm::{ConnectionTrait, DatabaseBackend};

/// The moment of the audit.
pub(super) const NOW: Millis = Millis::new(1_000_000);

const GOODS: &str = "
INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms) VALUES
    (1, 'desk', 99, 100000, 0), (2, 'lamp', 40, 500, 0);
INSERT INTO trade_goods_hold (order_id, state, create_ms, update_ms, due_ms) VALUES
    (101, 1, 1, 1, 9000000), (102, 3, 1, 1, NULL), (103, 4, 1, 1, NULL), (104, 3, 1, 1, NULL), (105, 2, 1, 1, NULL),
    (106, 1, 1, 1, 9000000), (107, 1, 1, 1, 9000000), (108, 1, 1, 1, 9000000), (110, 3, 1, 1, NULL);
INSERT INTO trade_goods_number_log (ref_id, goods_id, log_type, goods_number, log_ms) VALUES
    (0, 1, 0, 100, 0), (0, 2, 0, 50, 0), (101, 1, 1, -1, 1), (102, 1, 1, -2, 1), (102, 1, 2, 2, 1), (102, 2, 1, -1, 1),
    (102, 2, 2, 1, 1), (104, 2, 1, -4, 1), (104, 2, 2, 4, 1), (105, 2, 1, -6, 1), (106, 2, 1, -2, 1),
    (107, 2, 1, -1, 1), (108, 2, 1, -1, 1), (110, 2, 1, -1, 1), (110, 2, 2, 1, 1);
";

const COUPON: &str = "
INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id, order_id, is_used, used_ms) VALUES
    (21, 2000, 11, 101, 1, 1), (22, 500, 11, NULL, 0, NULL), (23, 500, 12, NULL, 0, NULL);
INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES
    (101, 21, 1, 1, 1), (102, 22, 3, 1, 1), (103, NULL, 4, 1, 1);
";

const USER: &str = "
INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen) VALUES
    (11, 'zs', 980, 0, 90000), (12, 'ls', 40, 0, 48000);
INSERT INTO trade_user_hold (order_id, state, create_ms, update_ms) VALUES
    (101, 1, 1, 1), (102, 3, 1, 1), (103, 4, 1, 1), (106, 1, 1, 1);
INSERT INTO trade_user_money_log (ref_id, user_id, money_log_type, use_money_fen, create_ms) VALUES
    (0, 11, 0, 100000, 0), (0, 12, 0, 50000, 0), (101, 11, 1, -10000, 1), (102, 11, 1, -1000, 1), (102, 11, 2, 1000, 1),
    (106, 12, 1, -2000, 1);
INSERT INTO trade_user_score_hold (pay_id, state, create_ms, update_ms) VALUES
    (201, 1, 1, 1), (204, 3, 1, 1), (205, 1, 1, 1), (206, 4, 1, 1), (209, 4, 1, 1), (210, 4, 1, 1);
INSERT INTO trade_user_score_log (ref_id, user_id, log_type, score, create_ms) VALUES
    (0, 11, 0, 100, 0), (0, 12, 0, 0, 0), (201, 11, 1, 880, 1), (204, 12, 1, 30, 1), (204, 12, 2, -30, 1),
    (205, 12, 1, 40, 1);
INSERT INTO trade_mq_consumer_log (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, consumer_status,
    consumer_times, consumer_ms, remark) VALUES ('user_group', 'pay_success', '201', 'a', 'payTopic', '?', 1, 2, 1, '');
";

const ORDER: &str = "
INSERT INTO trade_order (order_id, user_id, request_id, request_hash, order_status, pay_status, goods_amount_fen,
    shipping_fee_fen, order_amount_fen, coupon_id, coupon_paid_fen, money_paid_fen, pay_amount_fen, refuse_code,
    cancel_cause, pay_id, add_ms, confirm_ms, pay_ms, cancel_ms, pay_deadline_ms, owed, due_ms) VALUES
    (101, 11, '101', '', 1, 2, 100000, 0, 100000, 21, 2000, 10000, 88000, NULL, NULL, 201, 1, 2, 4, NULL, 9000000, 0, NULL),
    (102, 11, '102', '', 2, 1, 2500, 1000, 3500, 22, 500, 1000, 2000, NULL, 3, NULL, 1, 2, NULL, 3, 9000000, 0, NULL),
    (103, 12, '103', '', 2, 0, 1000, 1000, 2000, 23, 500, 500, 1000, 20002, 1, NULL, 1, NULL, NULL, 3, NULL, 0, NULL),
    (104, 12, '104', '', 2, 1, 2000, 1000, 3000, NULL, 0, 0, 3000, NULL, 3, NULL, 1, 2, NULL, 3, 9000000, 0, NULL),
    (105, 12, '105', '', 1, 2, 3000, 1000, 4000, NULL, 0, 0, 4000, NULL, NULL, 205, 1, 2, 4, NULL, 9000000, 0, NULL),
    (106, 12, '106', '', 1, 2, 1000, 1000, 2000, NULL, 0, 2000, 0, NULL, NULL, NULL, 1, 2, 2, NULL, NULL, 0, NULL),
    (107, 11, '107', '', 1, 0, 500, 1000, 1500, NULL, 0, 0, 1500, NULL, NULL, NULL, 1, 2, NULL, NULL, 9000000, 0, 9000000),
    (108, 11, '108', '', 1, 1, 500, 1000, 1500, NULL, 0, 0, 1500, NULL, NULL, NULL, 1, 2, NULL, NULL, 9000000, 0, 9000000),
    (110, 11, '110', '', 4, 2, 500, 1000, 1500, NULL, 0, 0, 1500, NULL, 5, 210, 1, 2, 4, 5, 9000000, 0, NULL);
INSERT INTO trade_order_item (order_id, goods_id, line_no, goods_number, goods_price_fen) VALUES
    (101, 1, 1, 1, 100000), (102, 1, 1, 2, 1000), (102, 2, 2, 1, 500), (103, 1, 1, 1, 1000), (104, 2, 1, 4, 500),
    (105, 2, 1, 6, 500), (106, 2, 1, 2, 500), (107, 2, 1, 1, 500), (108, 2, 1, 1, 500),
    (110, 2, 1, 1, 500);
INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, create_ms, due_ms) VALUES
    ('order_confirm:107', 'order', 'orderTopic', 'order_confirm', '107', '{}', 940000, 1000000);
";

const PAY: &str = "
INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, channel_trade_no,
    add_ms, pay_ms, closed_ms, refund_fen, owed, due_ms) VALUES
    (201, 101, 11, 'sandbox', 88000, 2, NULL, '', 't201', 2, 4, NULL, 0, 0, NULL),
    (202, 102, 11, 'sandbox', 2000, 0, NULL, '', NULL, 2, NULL, 3, 0, 0, NULL),
    (204, 104, 12, 'sandbox', 3000, 2, NULL, '', 't204', 2, 4, 3, 3000, 0, NULL),
    (205, 105, 12, 'sandbox', 4000, 2, NULL, '', 't205', 2, 4, NULL, 1500, 0, NULL),
    (206, 105, 12, 'alipay', 4000, 2, NULL, '', 't206', 2, 5, NULL, 4000, 0, NULL),
    (208, 108, 11, 'sandbox', 1500, 1, '108/sandbox', '', NULL, 2, NULL, NULL, 0, 32, 9000000),
    (209, 108, 11, 'alipay', 1400, 2, NULL, '', 't209', 2, 4, NULL, 1400, 0, NULL),
    (210, 110, 11, 'sandbox', 1500, 2, NULL, '', 't210', 2, 4, NULL, 1500, 0, NULL);
INSERT INTO trade_pay_order (order_id, state, create_ms, update_ms) VALUES
    (101, 2, 1, 1), (102, 2, 1, 1), (104, 2, 1, 1), (105, 2, 1, 1), (108, 1, 1, 1), (110, 2, 1, 1);
INSERT INTO trade_pay_log (pay_id, order_id, pay_amount_fen, channel_trade_no, log_ms) VALUES
    (201, 101, 88000, 't201', 4), (204, 104, 3000, 't204', 4), (205, 105, 4000, 't205', 4), (206, 105, 4000, 't206', 5),
    (209, 108, 1400, 't209', 4), (210, 110, 1500, 't210', 4);
INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, done_ms) VALUES
    (304, 204, 104, 1, 104, 3000, 1, 5, 6), (306, 206, 105, 2, 105, 4000, 1, 5, 6), (309, 209, 108, 3, 108, 1400, 1, 5, 6),
    (310, 210, 110, 4, 110, 1500, 1, 5, 6);
INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, request_id, reason, amount_fen, state, create_ms,
    done_ms) VALUES (321, 205, 105, 5, 321, 'a', 'late', 1000, 1, 5, 6), (322, 205, 105, 5, 322, 'b', 'late', 500, 1, 5, 6);
INSERT INTO sandbox_trade (pay_id, amount_fen, state, trade_no, create_ms, refund_fen) VALUES
    (201, 88000, 1, 't201', 2, 0), (202, 2000, 2, 't202', 2, 0), (204, 3000, 1, 't204', 2, 3000),
    (205, 4000, 1, 't205', 2, 1500), (208, 1500, 0, 't208', 2, 0), (210, 1500, 1, 't210', 2, 1500);
INSERT INTO sandbox_refund (refund_id, pay_id, amount_fen, create_ms) VALUES
    (304, 204, 3000, 6), (310, 210, 1500, 6), (321, 205, 1000, 6), (322, 205, 500, 6);
";

/// Orders 111 (being confirmed: stock taken, balance not yet), 112 (cancelled, nothing given back yet), 113 (paid, not
/// judged yet), 114 (being refunded, which the channel did already), 115 (bound, and nobody has taken note).
const IN_FLIGHT: [(&str, &str); 5] = [
    (
        "goods",
        "UPDATE trade_goods SET goods_number = 93 WHERE goods_id = 1;
INSERT INTO trade_goods_hold (order_id, state, create_ms, update_ms, due_ms) VALUES
    (111, 1, 1, 1, 1000000), (112, 1, 1, 1, 9000000), (113, 1, 1, 1, 9000000), (114, 3, 1, 1, NULL),
    (115, 1, 1, 1, 9000000);
INSERT INTO trade_goods_number_log (ref_id, goods_id, log_type, goods_number, log_ms) VALUES
    (111, 1, 1, -3, 1), (112, 1, 1, -1, 1), (113, 1, 1, -1, 1), (114, 1, 1, -1, 1), (114, 1, 2, 1, 1), (115, 1, 1, -1, 1);",
    ),
    (
        "coupon",
        "UPDATE trade_coupon SET order_id = 112, is_used = 1, used_ms = 1 WHERE coupon_id = 23;
INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (112, 23, 1, 1, 1);",
    ),
    (
        "user",
        "UPDATE trade_user SET user_money_fen = 47500 WHERE user_id = 12;
UPDATE trade_user SET user_score = 1000 WHERE user_id = 11;
INSERT INTO trade_user_hold (order_id, state, create_ms, update_ms) VALUES (112, 1, 1, 1);
INSERT INTO trade_user_money_log (ref_id, user_id, money_log_type, use_money_fen, create_ms) VALUES (112, 12, 1, -500, 1);
INSERT INTO trade_user_score_hold (pay_id, state, create_ms, update_ms) VALUES (214, 1, 1, 1);
INSERT INTO trade_user_score_log (ref_id, user_id, log_type, score, create_ms) VALUES (214, 11, 1, 20, 1);",
    ),
    (
        "order",
        "INSERT INTO trade_order (order_id, user_id, request_id, request_hash, order_status, pay_status, goods_amount_fen,
    shipping_fee_fen, order_amount_fen, coupon_id, coupon_paid_fen, money_paid_fen, pay_amount_fen, cancel_cause, pay_id,
    add_ms, confirm_ms, pay_ms, cancel_ms, pay_deadline_ms, owed, due_ms) VALUES
    (111, 11, '111', '', 0, 0, 3000, 1000, 4000, NULL, 0, 1000, 3000, NULL, NULL, 1, NULL, NULL, NULL, NULL, 0, 940000),
    (112, 12, '112', '', 2, 1, 1000, 1000, 2000, 23, 500, 500, 1000, 3, NULL, 1, 2, NULL, 3, 9000000, 15, 940000),
    (113, 11, '113', '', 1, 1, 1000, 1000, 2000, NULL, 0, 0, 2000, NULL, NULL, 1, 2, NULL, NULL, 9000000, 0, 9000000),
    (114, 11, '114', '', 2, 1, 1000, 1000, 2000, NULL, 0, 0, 2000, 3, NULL, 1, 2, NULL, 3, 9000000, 0, NULL),
    (115, 11, '115', '', 1, 2, 1000, 1000, 2000, NULL, 0, 0, 2000, NULL, 215, 1, 2, 4, NULL, 9000000, 8, 1000500);
INSERT INTO trade_order_item (order_id, goods_id, line_no, goods_number, goods_price_fen) VALUES
    (111, 1, 1, 3, 1000), (112, 1, 1, 1, 1000), (113, 1, 1, 1, 1000), (114, 1, 1, 1, 1000), (115, 1, 1, 1, 1000);",
    ),
    (
        "pay",
        "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url,
    channel_trade_no, add_ms, pay_ms, closed_ms, refund_fen, owed, due_ms) VALUES
    (212, 112, 12, 'sandbox', 1000, 1, '112/sandbox', '', NULL, 2, NULL, NULL, 0, 32, 1000000),
    (213, 113, 11, 'sandbox', 2000, 2, NULL, '', 't213', 2, 4, NULL, 0, 3, 1000500),
    (214, 114, 11, 'sandbox', 2000, 2, NULL, '', 't214', 2, 4, 3, 2000, 24, 1000500),
    (215, 115, 11, 'sandbox', 2000, 2, NULL, '', 't215', 2, 4, NULL, 0, 3, 1000500);
INSERT INTO trade_pay_order (order_id, state, create_ms, update_ms) VALUES
    (112, 1, 1, 1), (113, 1, 1, 1), (114, 2, 1, 1), (115, 1, 1, 1);
INSERT INTO trade_pay_log (pay_id, order_id, pay_amount_fen, channel_trade_no, log_ms) VALUES
    (213, 113, 2000, 't213', 4), (214, 114, 2000, 't214', 4), (215, 115, 2000, 't215', 4);
INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms) VALUES
    (314, 214, 114, 1, 114, 2000, 0, 5);
INSERT INTO sandbox_trade (pay_id, amount_fen, state, trade_no, create_ms, refund_fen, due_ms) VALUES
    (213, 2000, 1, 't213', 2, 0, 1000000), (214, 2000, 1, 't214', 2, 2000, NULL);
INSERT INTO sandbox_refund (refund_id, pay_id, amount_fen, create_ms) VALUES (314, 214, 2000, 6);",
    ),
];

/// A service's schema, its tables, and the rows it starts with.
struct Part {
    name: &'static str,
    schema: &'static [SqlFile],
    tables: &'static [&'static str],
    rows: &'static str,
}

const PARTS: [Part; 5] = [
    Part {
        name: "goods",
        schema: &shop_goods::SCHEMA,
        tables: &["trade_goods", "trade_goods_hold", "trade_goods_number_log"],
        rows: GOODS,
    },
    Part { name: "coupon", schema: &shop_coupon::SCHEMA, tables: &["trade_coupon", "trade_coupon_hold"], rows: COUPON },
    Part {
        name: "user",
        schema: &shop_user::SCHEMA,
        tables: &[
            "trade_user",
            "trade_user_hold",
            "trade_user_score_hold",
            "trade_user_money_log",
            "trade_user_score_log",
        ],
        rows: USER,
    },
    Part { name: "order", schema: &shop_order::SCHEMA, tables: &["trade_order", "trade_order_item"], rows: ORDER },
    Part {
        name: "pay",
        schema: &shop_pay::SCHEMA,
        tables: &["trade_pay", "trade_pay_order", "trade_pay_log", "trade_refund", "sandbox_trade", "sandbox_refund"],
        rows: PAY,
    },
];

/// The five databases of a shop on one engine.
pub(super) struct Shop {
    /// The engine, for messages.
    pub(super) name: &'static str,
    pub(super) schemas: Schemas,
    _databases: Vec<TestDb>,
}

impl Shop {
    /// Shops without a row, one on every engine there is.
    pub(super) async fn empty() -> Vec<Self> {
        let mut by_service = Vec::new();
        for part in &PARTS {
            by_service.push(databases(part.schema).await.into_iter());
        }
        let mut shops = Vec::new();
        while let Some(databases) = by_service.iter_mut().map(Iterator::next).collect::<Option<Vec<TestDb>>>() {
            let db = |index: usize| databases[index].db.clone();
            let schemas = Schemas { goods: db(0), coupon: db(1), user: db(2), order: db(3), pay: db(4) };
            shops.push(Self { name: databases[0].name, schemas, _databases: databases });
        }
        shops
    }

    /// Shops with the rows of a shop in which all is well.
    pub(super) async fn all_well() -> Vec<Self> {
        let shops = Self::empty().await;
        for shop in &shops {
            for part in &PARTS {
                shop.reset(part.name).await;
            }
        }
        shops
    }

    pub(super) async fn put_in_flight(&self) {
        for (service, rows) in IN_FLIGHT {
            seed(self.db(service), rows).await.unwrap();
        }
    }

    /// Puts one schema back to the rows it started with.
    pub(super) async fn reset(&self, service: &str) {
        let part = PARTS.iter().find(|part| part.name == service).unwrap();
        let messages = ["trade_mq_producer_temp", "trade_mq_consumer_log"];
        let deletes = part.tables.iter().chain(&messages).map(|table| format!("DELETE FROM {table};"));
        self.corrupt(service, &deletes.collect::<String>()).await;
        seed(self.db(service), part.rows).await.unwrap();
    }

    /// Runs statements that no service would, past every CHECK.
    pub(super) async fn corrupt(&self, service: &str, statements: &str) {
        let written = self.db(service).write_tx(async |tx| {
            let (off, on) = match tx.get_database_backend() {
                DatabaseBackend::Sqlite => {
                    ("PRAGMA ignore_check_constraints = 1", "PRAGMA ignore_check_constraints = 0")
                }
                _ => ("SET check_constraint_checks = 0", "SET check_constraint_checks = 1"),
            };
            tx.execute_unprepared(off).await?;
            for statement in statements.split(';').filter(|statement| !statement.trim().is_empty()) {
                tx.execute_unprepared(statement).await?;
            }
            tx.execute_unprepared(on).await?;
            Ok(())
        });
        written.await.unwrap_or_else(|error| panic!("{}: {statements}: {error}", self.name));
    }

    pub(super) fn db(&self, service: &str) -> &Db {
        let Schemas { goods, coupon, user, order, pay } = &self.schemas;
        match service {
            "goods" => goods,
            "coupon" => coupon,
            "user" => user,
            "order" => order,
            "pay" => pay,
            _ => panic!("no service {service}"),
        }
    }
}
