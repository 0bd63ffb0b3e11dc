//! As much of JSON Schema as our documents use; any other keyword is a fault.

use serde_json::Value;

/// What is wrong with `value` by `schema`, whose references are into `document`.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "", &mut faults);
    faults
}

/// What a reference points at.
pub(crate) fn resolve<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Some(rules) = schema.as_object() else {
        if schema != &Value::Bool(true) {
            faults.push(format!("{at}: nothing is allowed here"));
        }
        return;
    };
    let fits = |schema: &Value| {
        let mut faults = Vec::new();
        check(document, schema, value, at, &mut faults);
        faults.is_empty()
    };
    let number = value.as_f64();
    let length = value.as_str().map(|text| text.chars().count() as f64);
    let n_items = value.as_array().map(|list| list.len() as f64);
    let at_least = |bound: &Value, n: Option<f64>| n.is_none_or(|n| Some(n) >= bound.as_f64());
    let at_most = |bound: &Value, n: Option<f64>| n.is_none_or(|n| Some(n) <= bound.as_f64());
    for (rule, wanted) in rules {
        let is_good = match rule.as_str() {
            // Words for people, and formats that numbers of ours always fit.
            "title" | "description" | "default" | "format" | "$schema" => true,
            "$ref" => {
                let target = wanted.as_str().and_then(|path| resolve(document, path));
                match target {
                    Some(target) => check(document, target, value, at, faults),
                    None => faults.push(format!("{at}: {wanted} leads nowhere")),
                }
                true
            }
            "type" => match wanted {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of_kind(value, kind)),
                kind => is_of_kind(value, kind),
            },
            "const" => value == wanted,
            "enum" => wanted.as_array().is_some_and(|all| all.contains(value)),
            "anyOf" => wanted.as_array().is_some_and(|all| all.iter().any(fits)),
            "oneOf" => {
                let all = wanted.as_array().into_iter().flatten();
                all.filter(|schema| fits(schema)).count() == 1
            }
            "minimum" => at_least(wanted, number),
            "maximum" => at_most(wanted, number),
            "minLength" => at_least(wanted, length),
            "maxLength" => at_most(wanted, length),
            "minItems" => at_least(wanted, n_items),
            "maxItems" => at_most(wanted, n_items),
            // Our own constructors hold these; there is no engine for them here.
            "pattern" => value.is_string(),
            "required" => wanted.as_array().into_iter().flatten().all(|name| {
                let name = name.as_str().unwrap_or_default();
                value.as_object().is_none_or(|map| map.contains_key(name))
            }),
            "properties" => {
                for (name, schema) in wanted.as_object().into_iter().flatten() {
                    if let Some(value) = value.get(name) {
                        check(document, schema, value, &format!("{at}.{name}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        check(document, wanted, value, &format!("{at}.{name}"), faults);
                    }
                }
                true
            }
            "items" => {
                for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, wanted, value, &format!("{at}[{i}]"), faults);
                }
                true
            }
            _ => false,
        };
        if !is_good {
            faults.push(format!("{at}: {value} against {rule}: {wanted}"));
        }
    }
}

fn is_of_kind(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    }
}
