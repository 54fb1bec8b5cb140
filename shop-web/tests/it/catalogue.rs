//! Goods, coupons, the acting user.

use shop_proto::{
    coupon::v1::ListCouponsRequest,
    goods::v1::{GetGoodsRequest, ListGoodsRequest},
    user::v1::GetUserRequest,
};

use crate::{
    fakes::{GOODS, USER},
    world::{World, request},
};

const GOODS_JSON: &str = concat!(
    r#"{"goodsId":"345959443973935104","goodsName":"Javase课程","goodsDesc":"<script>alert(1)</script>","#,
    r#""price":"1000.00","stockOnHand":1000,"addedMs":"2019-07-09T12:38:00.000Z"}"#,
);

#[tokio::test]
async fn goods_are_for_everybody() {
    let world = World::new();
    let get = |path: String| request("GET", &path).body(axum::body::Body::empty()).unwrap();
    let answer = world.send(get(format!("/api/v1/goods/{GOODS}"))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, GOODS_JSON));
    assert_eq!(world.fake.take::<GetGoodsRequest>().goods_id, GOODS);
    let answer = world.send(get("/api/v1/goods?pageSize=3&pageToken=5".into())).await;
    assert_eq!(answer.text, format!(r#"{{"goods":[{GOODS_JSON}],"nextPageToken":""}}"#));
    assert_eq!(world.fake.take::<ListGoodsRequest>(), ListGoodsRequest { page_size: 3, page_token: "5".into() });
}

#[tokio::test]
async fn what_buyers_wrote_is_text_and_never_a_page() {
    let world = World::new();
    let answer = world.get(&format!("/api/v1/goods/{GOODS}")).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn coupons_are_the_user_s_own() {
    let world = World::new();
    let answer = world.get("/api/v1/coupons").await;
    let expected = concat!(
        r#"{"coupons":[{"couponId":"345988230098857984","userId":"345963634385633280","discount":"20.00","#,
        r#""minimum":"0.00","used":false},{"couponId":"7","userId":"345963634385633280","discount":"20.00","#,
        r#""minimum":"0.00","used":true,"orderId":"352537369385242624","usedMs":"2026-11-21T07:00:00.000Z","#,
        r#""validFromMs":"1970-01-01T00:00:00.000Z","validUntilMs":"2026-11-21T07:00:00.001Z"}]}"#,
    );
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
    assert_eq!(world.fake.take::<ListCouponsRequest>().user_id, USER);
}

#[tokio::test]
async fn a_user_sees_himself() {
    let world = World::new();
    let answer = world.get("/api/v1/users/me").await;
    let expected = r#"{"userId":"345963634385633280","userName":"zs","balance":"1000.00","score":100}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
    assert_eq!(world.fake.take::<GetUserRequest>().user_id, USER);
}
