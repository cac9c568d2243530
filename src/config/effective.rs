//! Where each value of a profile comes from.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use toml::Value;

use super::problem::lossy;
use crate::text::line::one_line;

/// Who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// Nobody: it is the default of every profile.
    Default,
    /// It is built in for the profile of this name.
    BuiltIn,
    /// A file.
    File {
        /// Which.
        #[serde(serialize_with = "lossy")]
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The command line.
    CommandLine,
}

/// One value in effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The key, as in [`super::keys::KEYS`].
    pub key: &'static str,
    /// The value; its `Display` is TOML that can be pasted.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built in for this profile"),
            Self::File { file, line } => {
                write!(f, "{}:{line}", one_line(&file.to_string_lossy()))
            }
            Self::CommandLine => f.write_str("command line"),
        }
    }
}
