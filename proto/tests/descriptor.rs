//! What clients may rely on: no release takes away or changes a service, a message, a field, a number or a type.
//!
//! `golden/descriptors.txt` holds one fact in each line. Every fact must still be true; new ones are welcome, and
//! protected once they are written there too, by `UPDATE_GOLDEN=1`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    MethodDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// Numbers of the parts of a descriptor, as a path of source information names them.
mod part {
    pub(crate) const MESSAGE: i32 = 4;
    pub(crate) const ENUM: i32 = 5;
    pub(crate) const SERVICE: i32 = 6;
    pub(crate) const FIELD: i32 = 2;
    pub(crate) const METHOD: i32 = 2;
    pub(crate) const VALUE: i32 = 2;
    pub(crate) const NESTED_MESSAGE: i32 = 3;
    pub(crate) const NESTED_ENUM: i32 = 4;
}

/// One thing that has a name: where it stands in its file, what it is called, what must stay true of it.
struct Item {
    path: Vec<i32>,
    name: String,
    fact: String,
}

fn files() -> Vec<FileDescriptorProto> {
    FileDescriptorSet::decode(shop_proto::DESCRIPTORS).unwrap().file
}

fn items(file: &FileDescriptorProto) -> Vec<Item> {
    let mut items = Vec::new();
    let package = file.package();
    for (index, message) in indexed(&file.message_type) {
        add_message(&mut items, vec![part::MESSAGE, index], package, message);
    }
    for (index, shape) in indexed(&file.enum_type) {
        add_enum(&mut items, vec![part::ENUM, index], package, shape);
    }
    for (index, service) in indexed(&file.service) {
        let (path, name) = (vec![part::SERVICE, index], format!("{package}.{}", service.name()));
        for (index, method) in indexed(&service.method) {
            let stream = |is: bool| if is { "stream " } else { "" };
            let fact = format!(
                "rpc {name}.{} ({}{}) -> {}{}",
                method.name(),
                stream(method.client_streaming()),
                method.input_type(),
                stream(method.server_streaming()),
                method.output_type(),
            );
            let path = [&path[..], &[part::METHOD, index]].concat();
            items.push(Item { path, name: format!("{name}.{}", method.name()), fact });
        }
        items.push(Item { path, fact: format!("service {name}"), name });
    }
    items
}

fn add_message(items: &mut Vec<Item>, path: Vec<i32>, parent: &str, message: &DescriptorProto) {
    let name = format!("{parent}.{}", message.name());
    for (index, field) in indexed(&message.field) {
        let path = [&path[..], &[part::FIELD, index]].concat();
        let fact = format!("field {name}.{} = {} {}", field.name(), field.number(), shape(field));
        items.push(Item { path, name: format!("{name}.{}", field.name()), fact });
    }
    for (index, nested) in indexed(&message.nested_type) {
        // The entry of a map is nobody's text.
        if !nested.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
            add_message(items, [&path[..], &[part::NESTED_MESSAGE, index]].concat(), &name, nested);
        }
    }
    for (index, nested) in indexed(&message.enum_type) {
        add_enum(items, [&path[..], &[part::NESTED_ENUM, index]].concat(), &name, nested);
    }
    items.push(Item { path, fact: format!("message {name}"), name });
}

fn add_enum(items: &mut Vec<Item>, path: Vec<i32>, parent: &str, shape: &EnumDescriptorProto) {
    let name = format!("{parent}.{}", shape.name());
    for (index, value) in indexed(&shape.value) {
        let path = [&path[..], &[part::VALUE, index]].concat();
        let fact = format!("value {name}.{} = {}", value.name(), value.number());
        items.push(Item { path, name: format!("{name}.{}", value.name()), fact });
    }
    items.push(Item { path, fact: format!("enum {name}"), name });
}

/// Label and type of a field.
fn shape(field: &FieldDescriptorProto) -> String {
    let label = match field.label() {
        Label::Repeated => "repeated ",
        _ if field.proto3_optional() => "optional ",
        _ => "",
    };
    let kind = match field.r#type() {
        Type::Message | Type::Enum => field.type_name().to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    format!("{label}{kind}")
}

fn indexed<T>(list: &[T]) -> impl Iterator<Item = (i32, &T)> {
    list.iter().enumerate().map(|(index, item)| (i32::try_from(index).unwrap(), item))
}

#[test]
fn what_clients_rely_on_still_stands() {
    let facts: BTreeSet<String> = files().iter().flat_map(items).map(|item| item.fact).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/descriptors.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text: String = facts.iter().flat_map(|fact| [fact.as_str(), "\n"]).collect();
        fs::write(&path, text).unwrap();
    }
    let golden: BTreeSet<String> = fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    assert!(golden.len() > 200, "{} facts", golden.len());
    let broken: Vec<&String> = golden.difference(&facts).collect();
    assert!(broken.is_empty(), "breaks clients: {broken:#?}");
}

#[test]
fn a_change_is_seen() {
    let facts = |file: &FileDescriptorProto| items(file).into_iter().map(|item| item.fact).collect::<BTreeSet<_>>();
    let order = files().into_iter().find(|file| file.package() == "shop.order.v1").unwrap();
    let position = order.message_type.iter().position(|message| message.name() == "ConfirmOrderRequest").unwrap();
    let changes: [fn(&mut FileDescriptorProto, usize); 7] = [
        |file, at| file.message_type[at].field[0].number = Some(99),
        |file, at| file.message_type[at].field[0].set_type(Type::Bytes),
        |file, at| file.message_type[at].field[2].set_label(Label::Optional),
        |file, at| file.message_type[at].field[3].proto3_optional = None,
        |file, at| drop(file.message_type.remove(at)),
        |file, _| file.enum_type[0].value[1].number = Some(9),
        |file, _| file.service[0].method[4].server_streaming = None,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = order.clone();
        change(&mut changed, position);
        assert!(facts(&order).difference(&facts(&changed)).next().is_some(), "change {index}");
    }
}

#[test]
fn everything_says_what_it_is() {
    let mut silent = Vec::new();
    for file in files() {
        let locations = &file.source_code_info.as_ref().expect("the comments are there").location;
        let said: BTreeSet<&[i32]> = locations
            .iter()
            .filter(|location| !location.leading_comments().trim().is_empty())
            .map(|location| location.path.as_slice())
            .collect();
        silent.extend(items(&file).into_iter().filter(|item| !said.contains(&item.path[..])).map(|item| item.name));
    }
    assert!(silent.is_empty(), "without a comment in front: {silent:#?}");
}

/// A number that means nothing would be read as the first meaning (B26): nobody can send one.
#[test]
fn no_request_of_a_client_holds_an_enum() {
    let files = files();
    let message = |name: &str| {
        let found =
            files.iter().flat_map(|file| file.message_type.iter().map(move |message| (file.package(), message)));
        found
            .filter(|(package, message)| format!(".{package}.{}", message.name()) == name)
            .map(|(_, message)| message)
            .next()
    };
    let public = ["OrderService", "PayService", "RefundService", "GoodsService", "CouponService", "UserService"];
    let services = files.iter().flat_map(|file| &file.service).filter(|service| public.contains(&service.name()));
    let mut names: Vec<&str> =
        services.flat_map(|service| &service.method).map(MethodDescriptorProto::input_type).collect();
    assert!(names.len() > 10, "{names:?}");
    let mut at = 0;
    while let Some(name) = names.get(at).copied() {
        for field in message(name).iter().flat_map(|message| &message.field) {
            assert_ne!(field.r#type(), Type::Enum, "{name}.{}", field.name());
            if field.r#type() == Type::Message && !names.contains(&field.type_name()) {
                names.push(field.type_name());
            }
        }
        at += 1;
    }
}

/// Services that only other services and the gateway call.
const INTERNAL: [&str; 7] = [
    "StockService",
    "RedemptionService",
    "BalanceService",
    "PointsService",
    "OrderStateService",
    "PaymentStateService",
    "SandboxService",
];

/// Clocks of two services may differ by minutes: what one tells another to do is never bound to a moment, only to how
/// long the caller still waits. Deadlines are judged by the clock of the service that keeps them.
#[test]
fn no_command_between_services_carries_a_moment() {
    let files = files();
    let messages: std::collections::BTreeMap<String, &DescriptorProto> = files
        .iter()
        .flat_map(|file| file.message_type.iter().map(move |m| (format!(".{}.{}", file.package(), m.name()), m)))
        .collect();
    let services: Vec<_> = files.iter().flat_map(|file| &file.service).collect();
    let internal: Vec<_> = services.iter().filter(|service| INTERNAL.contains(&service.name())).collect();
    assert_eq!(internal.len(), INTERNAL.len());
    let mut asked: Vec<String> =
        internal.iter().flat_map(|s| &s.method).map(|method| method.input_type().to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = asked.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(message) = messages.get(&name) else { continue };
        for field in &message.field {
            let is_moment =
                field.name().ends_with("_ms") || field.name().ends_with("_at") || field.name().ends_with("_s");
            assert!(!is_moment || field.name() == "remaining_ms", "{name}.{}", field.name());
            asked.push(field.type_name().to_owned());
        }
    }
    assert!(seen.contains(".shop.common.v1.CommandContext"), "{seen:?}");
}
