//! Flake references as attributes: `flake.lock` and the flake registries. Pure.

use serde_json::{Map, Value};

/// The reference that attributes stand for, as it would be written.
fn reference(attributes: &Value) -> Option<String> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let kind = text("type")?;
    Some(match kind {
        "github" | "gitlab" | "sourcehut" => {
            let host = text("host").map(|host| format!("?host={host}"));
            let branch = text("rev")
                .or(text("ref"))
                .map(|branch| format!("/{branch}"));
            let (branch, host) = (branch.unwrap_or_default(), host.unwrap_or_default());
            format!("{kind}:{}/{}{branch}{host}", text("owner")?, text("repo")?)
        }
        "git" | "hg" | "tarball" | "file" => format!("{kind}+{}", text("url")?),
        "path" => format!("path:{}", text("path")?),
        "indirect" => {
            let branch = text("ref")
                .or(text("rev"))
                .map(|branch| format!("/{branch}"));
            format!("flake:{}{}", text("id")?, branch.unwrap_or_default())
        }
        _ => return None,
    })
}

/// What the inputs of a lock file's flake were written as: those named (`a/b` for an input's input), or all.
///
/// # Errors
/// A sentence, if the text is not a lock file.
pub(super) fn originals(text: &str, named: Option<&[String]>) -> Result<Vec<String>, String> {
    let lock: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let root = lock
        .get("root")
        .and_then(Value::as_str)
        .ok_or("it has no root")?;
    let nodes = lock
        .get("nodes")
        .and_then(Value::as_object)
        .ok_or("it has no nodes")?;
    let paths: Vec<Vec<&str>> = match named {
        Some(named) => named.iter().map(|name| name.split('/').collect()).collect(),
        None => inputs(nodes, root)
            .map(|(name, _)| vec![name.as_str()])
            .collect(),
    };
    let found = paths.iter().filter_map(|path| walk(nodes, root, path, 0));
    Ok(found
        .filter_map(|node| reference(node.get("original")?))
        .collect())
}

fn inputs<'a>(
    nodes: &'a Map<String, Value>,
    node: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let inputs = nodes.get(node).and_then(|node| node.get("inputs"));
    inputs.and_then(Value::as_object).into_iter().flatten()
}

/// Follows a path of inputs to its node; `follows` are paths from the root again.
fn walk<'a>(
    nodes: &'a Map<String, Value>,
    root: &str,
    path: &[&str],
    depth: usize,
) -> Option<&'a Value> {
    nodes.get(&key(nodes, root, path, depth)?)
}

fn key(nodes: &Map<String, Value>, root: &str, path: &[&str], depth: usize) -> Option<String> {
    let mut at = root.to_owned();
    for segment in path {
        let (_, next) = inputs(nodes, &at).find(|(name, _)| name == segment)?;
        at = match next {
            Value::String(node) => node.clone(),
            // `follows` that follow each other in a circle end here.
            Value::Array(follows) if depth < 16 => {
                let follows: Vec<&str> = follows.iter().filter_map(Value::as_str).collect();
                key(nodes, root, &follows, depth + 1)?
            }
            _ => return None,
        };
    }
    Some(at)
}

/// The flakes of these elements of a profile's `manifest.json`, of all if none of them is in it: a list in version 2, by name
/// since version 3.
pub(super) fn installed(text: &str, named: &[String]) -> Vec<String> {
    let manifest: Value = serde_json::from_str(text).unwrap_or_default();
    let flake = |element: &Value| Some(element.get("originalUrl")?.as_str()?.to_owned());
    match manifest.get("elements") {
        Some(Value::Array(elements)) => elements.iter().filter_map(flake).collect(),
        Some(Value::Object(elements)) => {
            let is_named = |name: &String| elements.contains_key(name);
            let all = !named.iter().any(is_named);
            let elements = elements.iter();
            let chosen = elements.filter(|(name, _)| all || named.contains(name));
            chosen.filter_map(|(_, element)| flake(element)).collect()
        }
        _ => Vec::new(),
    }
}

/// One line of a flake registry: `id`, perhaps with a branch, stands for another reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RegistryEntry {
    id: String,
    reference: Option<String>,
    exact: bool,
    pub(super) to: String,
}

impl RegistryEntry {
    pub(super) fn stands_for(&self, id: &str, reference: Option<&str>) -> bool {
        let own = self.reference.as_deref();
        self.id == id && (own == reference || (own.is_none() && !self.exact))
    }
}

/// The entries of a registry file that are for ids.
///
/// # Errors
/// A sentence, if the text is not a registry.
pub(super) fn registry(text: &str) -> Result<Vec<RegistryEntry>, String> {
    let registry: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let flakes = registry
        .get("flakes")
        .and_then(Value::as_array)
        .ok_or("it has no flakes")?;
    Ok(flakes.iter().filter_map(entry).collect())
}

fn entry(flake: &Value) -> Option<RegistryEntry> {
    let from = flake.get("from")?;
    let text = |name: &str| from.get(name).and_then(Value::as_str);
    Some(RegistryEntry {
        id: text("id")?.to_owned(),
        reference: text("ref").or(text("rev")).map(str::to_owned),
        exact: flake.get("exact").and_then(Value::as_bool).unwrap_or(false),
        to: reference(flake.get("to")?)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOCK: &str = r#"{"root":"root","version":7,"nodes":{
        "root":{"inputs":{"nixpkgs":"nixpkgs","hm":"hm","same":["hm","nixpkgs"],"loop":["loop"]}},
        "hm":{"inputs":{"nixpkgs":["nixpkgs"]},"original":{"type":"git","url":"https://git.example/hm"}},
        "nixpkgs":{"original":{"type":"github","owner":"NixOS","repo":"nixpkgs","ref":"nixos-25.11"}}}}"#;

    #[test]
    fn the_inputs_of_a_lock_file_are_found_by_name_and_by_what_they_follow() {
        let named = |name: &str| originals(LOCK, Some(&[name.to_owned()])).unwrap();
        assert_eq!(named("nixpkgs"), ["github:NixOS/nixpkgs/nixos-25.11"]);
        assert_eq!(named("hm"), ["git+https://git.example/hm"]);
        assert_eq!(named("hm/nixpkgs"), named("nixpkgs"));
        assert_eq!(named("same"), named("nixpkgs"));
        assert!(named("loop").is_empty());
        assert!(named("absent").is_empty());
        assert_eq!(originals(LOCK, None).unwrap().len(), 3);
        assert!(originals("{}", None).is_err());
    }

    #[test]
    fn an_entry_for_one_branch_stands_for_that_branch_alone() {
        let text = r#"{"version":2,"flakes":[
            {"from":{"type":"indirect","id":"a"},"to":{"type":"path","path":"/a"}},
            {"from":{"type":"indirect","id":"b","ref":"x"},"to":{"type":"indirect","id":"a"}},
            {"from":{"type":"indirect","id":"c"},"exact":true,"to":{"type":"path","path":"/c"}}]}"#;
        let entries = registry(text).unwrap();
        let found = |id, reference| entries.iter().any(|entry| entry.stands_for(id, reference));
        assert!(found("a", None) && found("a", Some("y")));
        assert!(found("b", Some("x")) && !found("b", None) && !found("b", Some("y")));
        assert!(found("c", None) && !found("c", Some("y")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).*") {
            let _ = (originals(&text, None), registry(&text));
        }
    }
}
