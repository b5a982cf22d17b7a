//! `davy schema [NAME]`: the JSON Schemas of the records that cross a border, generated from
//! their types.

use crate::End;
use crate::demo::Summary;
use crate::run::unusable;

/// Prints a schema, or the names of all.
pub(crate) fn main(name: Option<&str>) -> End {
    let all = all();
    let Some(name) = name else {
        for (name, _) in &all {
            println!("{name}");
        }
        return End::Good;
    };
    let asked = name.strip_suffix(".json").unwrap_or(name);
    match all.iter().find(|(name, _)| *name == asked) {
        Some((_, schema)) => {
            println!("{schema:#}");
            End::Good
        }
        None => unusable(&format!(
            "there is no schema `{name}`: `davy schema` lists them"
        )),
    }
}

fn all() -> Vec<(&'static str, serde_json::Value)> {
    let mut all = davy_rules::alarm::schemas();
    all.push(("demo-summary", schemars::schema_for!(Summary).into()));
    all.sort_by_key(|(name, _)| *name);
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_demo_summary_is_what_it_was() {
        let all = super::all();
        let (_, schema) = all
            .iter()
            .find(|(name, _)| *name == "demo-summary")
            .expect("there");
        insta::assert_json_snapshot!(schema);
        assert_eq!(all.len(), davy_rules::alarm::schemas().len() + 1);
    }
}
