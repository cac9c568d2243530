//! nix.conf as Nix reads it: text → lines, lines → the few settings that matter here. Pure.

use std::path::PathBuf;

/// One line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NixLine {
    /// `name = value`, blanks as single spaces.
    Setting(String, String),
    /// `include PATH`, or `!include PATH`, which may be absent.
    Include {
        /// As written, relative to the file.
        path: String,
        /// Written with the exclamation mark.
        may_be_absent: bool,
    },
    /// Nix stops at it.
    Refused,
}

/// A value and where it was set: `FILE:LINE`, `--option`, ….
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) value: String,
    pub(super) origin: String,
}

/// The settings that say what Nix reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NixSettings {
    pub(super) substituters: Vec<Item>,
    pub(super) substitute: bool,
    pub(super) flake_registry: String,
    pub(super) ssl_cert_file: Option<PathBuf>,
}

impl Default for NixSettings {
    /// Nix's own defaults.
    fn default() -> Self {
        Self {
            substituters: vec![Item {
                value: "https://cache.nixos.org/".into(),
                origin: "Nix's default".into(),
            }],
            substitute: true,
            flake_registry: "https://channels.nixos.org/flake-registry.json".into(),
            ssl_cert_file: None,
        }
    }
}

/// The lines that are not empty, numbered from 1.
pub(super) fn parse(text: &str) -> impl Iterator<Item = (usize, NixLine)> {
    let numbered = text.split('\n').zip(1..);
    numbered.filter_map(|(line, number)| Some((number, read(line)?)))
}

fn read(line: &str) -> Option<NixLine> {
    let told = line.split('#').next().unwrap_or_default();
    let words: Vec<&str> = told
        .split([' ', '\t', '\r'])
        .filter(|word| !word.is_empty())
        .collect();
    Some(match words.as_slice() {
        [] => return None,
        [word @ ("include" | "!include"), path] => NixLine::Include {
            path: (*path).to_owned(),
            may_be_absent: *word == "!include",
        },
        ["include" | "!include", ..] => NixLine::Refused,
        [name, "=", value @ ..] => NixLine::Setting((*name).to_owned(), value.join(" ")),
        _ => NixLine::Refused,
    })
}

impl NixSettings {
    /// Takes one setting, in the order Nix applies them. A name that is none of ours changes nothing.
    ///
    /// # Errors
    /// A sentence about a value that Nix refuses.
    pub(super) fn set(&mut self, name: &str, value: &str, origin: &str) -> Result<(), String> {
        match name {
            "substituters" | "binary-caches" => self.substituters = items(value, origin),
            "extra-substituters" | "extra-binary-caches" => {
                self.substituters.extend(items(value, origin));
            }
            "substitute" | "build-use-substitutes" => {
                self.substitute = boolean(value)
                    .ok_or_else(|| format!("{origin}: {name} is neither true nor false"))?;
            }
            "flake-registry" => value.clone_into(&mut self.flake_registry),
            "ssl-cert-file" => {
                self.ssl_cert_file = (!value.is_empty()).then(|| PathBuf::from(value));
            }
            _ => {}
        }
        Ok(())
    }
}

fn items(value: &str, origin: &str) -> Vec<Item> {
    let item = |value: &str| Item {
        value: value.to_owned(),
        origin: origin.to_owned(),
    };
    value.split_ascii_whitespace().map(item).collect()
}

fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_split_as_nix_splits_them() {
        let text = "# comment\n\nsubstituters =  a\tb # c\nempty =\ninclude x.conf\n!include y\n\
                    include\nlonely\nname value\nexperimental-features=flakes\n";
        let setting = |name: &str, value: &str| NixLine::Setting(name.into(), value.into());
        let include = |path: &str, may_be_absent| NixLine::Include {
            path: path.into(),
            may_be_absent,
        };
        let expected = vec![
            (3, setting("substituters", "a b")),
            (4, setting("empty", "")),
            (5, include("x.conf", false)),
            (6, include("y", true)),
            (7, NixLine::Refused),
            (8, NixLine::Refused),
            (9, NixLine::Refused),
            (10, NixLine::Refused),
        ];
        assert_eq!(parse(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn settings_replace_and_extra_ones_append_in_order() {
        let mut settings = NixSettings::default();
        for (name, value) in [
            ("extra-substituters", "https://lost"),
            ("binary-caches", "https://a https://b"),
            ("trusted-substituters", "https://never"),
            ("extra-binary-caches", "https://c"),
        ] {
            settings.set(name, value, "here").unwrap();
        }
        let values: Vec<_> = settings
            .substituters
            .iter()
            .map(|item| item.value.as_str())
            .collect();
        assert_eq!(values, ["https://a", "https://b", "https://c"]);
    }

    #[test]
    fn a_boolean_that_nix_refuses_is_named_with_its_place() {
        let error = NixSettings::default().set("substitute", "maybe", "nix.conf:3");
        assert_eq!(
            error,
            Err("nix.conf:3: substitute is neither true nor false".into())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).*") {
            let mut settings = NixSettings::default();
            for (_, line) in parse(&text) {
                if let NixLine::Setting(name, value) = line {
                    let _ = settings.set(&name, &value, "");
                }
            }
        }
    }
}
