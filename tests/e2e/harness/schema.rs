//! A small validator for the schemas that the product publishes (JSON Schema 2020-12): the words
//! that they use and no others. A word that it does not know is a failure, never a pass.

#![allow(dead_code, clippy::panic, clippy::expect_used, unreachable_pub)] // of tests

use serde_json::Value as Json;

/// Why `value` does not fit `schema`; nothing where it does.
pub fn misfits(schema: &Json, value: &Json) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Json, schema: &Json, value: &Json, at: &str, found: &mut Vec<String>) {
    if let Some(fits) = schema.as_bool() {
        if !fits {
            found.push(format!("{at}: nothing may stand here"));
        }
        return;
    }
    let fits = |part: &Json| {
        let mut misfits = Vec::new();
        check(root, part, value, at, &mut misfits);
        misfits.is_empty()
    };
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        let list = || rule.as_array().expect("a list");
        let good = match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
            "$ref" => {
                let pointer = rule.as_str().and_then(|r| r.strip_prefix('#'));
                let part = pointer.and_then(|p| root.pointer(p)).expect("a reference");
                check(root, part, value, at, found);
                true
            }
            "type" => match rule {
                Json::Array(types) => types.iter().any(|t| is(t, value)),
                one => is(one, value),
            },
            "const" => value == rule,
            "enum" => list().contains(value),
            "anyOf" => list().iter().any(fits),
            "oneOf" => list().iter().filter(|part| fits(part)).count() == 1,
            "minimum" => value.as_f64().is_none_or(|n| Some(n) >= rule.as_f64()),
            "maximum" => value.as_f64().is_none_or(|n| Some(n) <= rule.as_f64()),
            "required" => {
                for name in list() {
                    let name = name.as_str().expect("a name");
                    if value.is_object() && value.get(name).is_none() {
                        found.push(format!("{at}: `{name}` is missing"));
                    }
                }
                true
            }
            "properties" => {
                for (name, part) in rule.as_object().expect("properties") {
                    if let Some(inner) = value.get(name) {
                        check(root, part, inner, &format!("{at}/{name}"), found);
                    }
                }
                true
            }
            "items" => {
                for (i, inner) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, inner, &format!("{at}/{i}"), found);
                }
                true
            }
            unknown => panic!("this validator does not know `{unknown}`"),
        };
        if !good {
            found.push(format!("{at}: {value} breaks `{word}`: {rule}"));
        }
    }
}

fn is(name: &Json, value: &Json) -> bool {
    match name.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type is called `{other}`"),
    }
}
