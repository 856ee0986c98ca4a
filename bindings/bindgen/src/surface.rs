use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use camino::Utf8Path;
use uniffi_bindgen::macro_metadata::extract_from_library;
use uniffi_meta::{
    DefaultValueMetadata, EnumMetadata, EnumShape, FieldMetadata, FnMetadata, FnParamMetadata, LiteralMetadata,
    Metadata, MethodMetadata, ObjectImpl, ObjectMetadata, RecordMetadata, TraitMethodMetadata, Type,
    UniffiTraitMetadata,
};

/// Everything that `library` exports, by name; what documents say about it is left out.
///
/// Names are Rust's: Kotlin and Swift write `start_scan` as `startScan`. Fields and cases stand in their order, which is
/// the order of arguments in both languages. A `trait` may be of the core's and of the host's making, a `host-trait` of
/// the host's only, a `core-trait` of the core's only.
pub fn of(library: &Utf8Path) -> Result<String, String> {
    let items = extract_from_library(library).map_err(|error| format!("{library}: {error:#}"))?;
    let surface = describe(&items)?;
    if surface.is_empty() { Err(format!("{library} exports nothing; is it stripped?")) } else { Ok(surface) }
}

fn describe(items: &[Metadata]) -> Result<String, String> {
    // By kind and name: what stands under it in an order that counts.
    let mut headings: BTreeMap<(&str, &str), String> = BTreeMap::new();
    // By the owner's name, in any order.
    let mut members: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut functions = BTreeSet::new();
    for item in items {
        let (owner, member) = match item {
            Metadata::Namespace(_) | Metadata::UdlFile(_) => continue,
            Metadata::Func(function) => {
                let FnMetadata { name, is_async, inputs, return_type, throws, .. } = function;
                functions.insert(format!("function {}\n", call(name, *is_async, inputs, return_type, throws)));
                continue;
            }
            Metadata::Record(record) => {
                headings.insert(("record", &record.name), fields(record));
                continue;
            }
            Metadata::Enum(choice) => {
                headings.insert((kind(choice), &choice.name), cases(choice));
                continue;
            }
            Metadata::Object(object) => {
                headings.insert((made_by(object), &object.name), String::new());
                continue;
            }
            Metadata::CallbackInterface(interface) => {
                headings.insert(("callback", &interface.name), String::new());
                continue;
            }
            Metadata::CustomType(custom) => {
                headings.insert(("type", &custom.name), format!("    is {}\n", spell(&custom.builtin)));
                continue;
            }
            Metadata::Constructor(made) => {
                let call = call(&made.name, made.is_async, &made.inputs, &None, &made.throws);
                (made.self_name.as_str(), format!("constructor {call}"))
            }
            Metadata::Method(method) => {
                let MethodMetadata { self_name, name, is_async, inputs, return_type, throws, .. } = method;
                (self_name.as_str(), call(name, *is_async, inputs, return_type, throws))
            }
            Metadata::TraitMethod(method) => {
                let TraitMethodMetadata { trait_name, name, is_async, inputs, return_type, throws, .. } = method;
                (trait_name.as_str(), call(name, *is_async, inputs, return_type, throws))
            }
            Metadata::UniffiTrait(derived) => (derived.self_name(), format!("has {}", trait_name(derived))),
            Metadata::ObjectTraitImpl(implemented) => {
                (implemented.ty.name().unwrap_or_default(), format!("is {}", spell(&implemented.trait_ty)))
            }
        };
        members.entry(owner).or_default().insert(format!("    {member}\n"));
    }
    let mut text: String = functions.into_iter().collect();
    for ((kind, name), own) in headings {
        text += &format!("{kind} {name}\n{own}");
        text.extend(members.remove(name).unwrap_or_default());
    }
    match members.keys().next() {
        None => Ok(text),
        Some(owner) => Err(format!("{owner} has members and is not exported itself")),
    }
}

fn fields(record: &RecordMetadata) -> String {
    record.fields.iter().fold(String::new(), |text, one| text + "    " + &field(one) + "\n")
}

fn cases(choice: &EnumMetadata) -> String {
    choice.variants.iter().fold(String::new(), |mut text, variant| {
        let values: Vec<String> = variant.fields.iter().map(field).collect();
        text += "    case ";
        text += &variant.name;
        if !values.is_empty() {
            let _ = write!(text, "({})", values.join(", "));
        }
        text + "\n"
    })
}

fn field(field: &FieldMetadata) -> String {
    let name = if field.name.is_empty() { String::new() } else { format!("{}: ", field.name) };
    format!("{name}{}{}", spell(&field.ty), or_default(&field.default))
}

fn kind(choice: &EnumMetadata) -> &'static str {
    match choice.shape {
        EnumShape::Enum => "enum",
        EnumShape::Error { flat: false } => "error",
        EnumShape::Error { flat: true } => "error-as-text",
    }
}

fn made_by(object: &ObjectMetadata) -> &'static str {
    match object.imp {
        ObjectImpl::Struct => "object",
        ObjectImpl::Trait(kind) => match (kind.has_rust(), kind.has_foreign()) {
            (true, true) => "trait",
            (true, false) => "core-trait",
            (false, _) => "host-trait",
        },
    }
}

fn trait_name(derived: &UniffiTraitMetadata) -> &'static str {
    match derived {
        UniffiTraitMetadata::Debug { .. } => "text for developers",
        UniffiTraitMetadata::Display { .. } => "text",
        UniffiTraitMetadata::Eq { .. } => "equal",
        UniffiTraitMetadata::Hash { .. } => "hash",
        UniffiTraitMetadata::Ord { .. } => "ordered",
    }
}

fn call(name: &str, is_async: bool, inputs: &[FnParamMetadata], gives: &Option<Type>, throws: &Option<Type>) -> String {
    let inputs: Vec<String> = inputs
        .iter()
        .map(|input| format!("{}: {}{}", input.name, spell(&input.ty), or_default(&input.default)))
        .collect();
    let mut text = format!("{}{name}({})", if is_async { "async " } else { "" }, inputs.join(", "));
    if let Some(gives) = gives {
        let _ = write!(text, " -> {}", spell(gives));
    }
    if let Some(throws) = throws {
        let _ = write!(text, " throws {}", spell(throws));
    }
    text
}

fn or_default(default: &Option<DefaultValueMetadata>) -> String {
    match default {
        None => String::new(),
        Some(DefaultValueMetadata::Default) => " = default".into(),
        Some(DefaultValueMetadata::Literal(literal)) => match literal {
            LiteralMetadata::Boolean(value) => format!(" = {value}"),
            LiteralMetadata::String(value) => format!(" = {value:?}"),
            LiteralMetadata::UInt(value, ..) => format!(" = {value}"),
            LiteralMetadata::Int(value, ..) => format!(" = {value}"),
            LiteralMetadata::Float(value, _) => format!(" = {value}"),
            LiteralMetadata::Enum(value, _) => format!(" = {value}"),
            LiteralMetadata::EmptySequence | LiteralMetadata::EmptyMap | LiteralMetadata::EmptySet => " = empty".into(),
            LiteralMetadata::None => " = none".into(),
            LiteralMetadata::Some { inner } => or_default(&Some((**inner).clone())),
        },
    }
}

fn spell(of: &Type) -> String {
    match of {
        Type::UInt8 => "u8".into(),
        Type::Int8 => "i8".into(),
        Type::UInt16 => "u16".into(),
        Type::Int16 => "i16".into(),
        Type::UInt32 => "u32".into(),
        Type::Int32 => "i32".into(),
        Type::UInt64 => "u64".into(),
        Type::Int64 => "i64".into(),
        Type::Float32 => "f32".into(),
        Type::Float64 => "f64".into(),
        Type::Boolean => "bool".into(),
        Type::String => "string".into(),
        Type::Bytes => "bytes".into(),
        Type::Timestamp => "timestamp".into(),
        Type::Duration => "duration".into(),
        Type::Object { name, .. }
        | Type::Record { name, .. }
        | Type::Enum { name, .. }
        | Type::CallbackInterface { name, .. }
        | Type::Custom { name, .. } => name.clone(),
        Type::Box { inner_type } => spell(inner_type),
        Type::Optional { inner_type } => format!("{}?", spell(inner_type)),
        Type::Sequence { inner_type } => format!("[{}]", spell(inner_type)),
        Type::Set { inner_type } => format!("set of {}", spell(inner_type)),
        Type::Map { key_type, value_type } => format!("[{}: {}]", spell(key_type), spell(value_type)),
    }
}

#[cfg(test)]
mod tests {
    use uniffi_meta::{
        EnumMetadata, EnumShape, FieldMetadata, FnParamMetadata, Metadata, MethodMetadata, ObjectImpl, ObjectMetadata,
        Type, VariantMetadata,
    };

    use super::describe;

    fn text() -> Type {
        Type::String
    }

    fn sample(argument: Type) -> Vec<Metadata> {
        vec![
            Metadata::Method(MethodMetadata {
                module_path: "keybutton".into(),
                self_name: "Press".into(),
                name: "choose".into(),
                orig_name: None,
                is_async: false,
                inputs: vec![FnParamMetadata::simple("door", argument)],
                return_type: Some(Type::Optional { inner_type: Box::new(Type::Boolean) }),
                throws: None,
                takes_self_by_arc: false,
                checksum: None,
                docstring: Some("Chooses.".into()),
            }),
            Metadata::Object(ObjectMetadata {
                module_path: "keybutton".into(),
                name: "Press".into(),
                orig_name: None,
                remote: false,
                imp: ObjectImpl::Struct,
                docstring: None,
            }),
            Metadata::Enum(EnumMetadata {
                module_path: "keybutton".into(),
                name: "KeyError".into(),
                orig_name: None,
                shape: EnumShape::Error { flat: false },
                remote: false,
                variants: vec![VariantMetadata {
                    name: "Failed".into(),
                    orig_name: None,
                    discr: None,
                    fields: vec![FieldMetadata {
                        name: "code".into(),
                        orig_name: None,
                        ty: text(),
                        default: None,
                        docstring: None,
                    }],
                    docstring: None,
                }],
                discr_type: None,
                non_exhaustive: false,
                docstring: None,
            }),
        ]
    }

    #[test]
    fn everything_exported_has_its_line() {
        assert_eq!(
            describe(&sample(text())).unwrap(),
            "error KeyError\n    case Failed(code: string)\nobject Press\n    choose(door: string) -> bool?\n"
        );
    }

    #[test]
    fn a_member_of_nothing_is_not_lost() {
        assert!(describe(&sample(text())[..1]).unwrap_err().contains("Press"));
    }

    #[test]
    fn another_argument_is_another_surface_and_order_and_words_are_not() {
        let before = describe(&sample(text())).unwrap();
        assert_ne!(before, describe(&sample(Type::UInt8)).unwrap());
        let mut turned = sample(text());
        turned.reverse();
        assert_eq!(before, describe(&turned).unwrap());
    }
}
