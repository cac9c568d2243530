//! What is wrong with a configuration: where, which key, and what to do, in one sentence each.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::text::line::one_line;
use crate::text::secret;

/// One fault, or one warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or directory.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The line, counted from 1; none if it is about the file as a whole.
    pub line: Option<usize>,
    /// The whole key: `profile.nixos-upgrade.settle`.
    pub key: Option<String>,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    /// A problem with a file as a whole.
    pub(super) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            key: None,
            message: message.into(),
        }
    }
}

impl Problem {
    /// A key or a value that is quoted may be a URL with a login.
    pub(super) fn hide_secrets(&mut self) {
        self.message = secret::text(&self.message);
        self.key = self.key.take().map(|key| secret::text(&key));
    }
}

impl fmt::Display for Problem {
    /// `FILE:LINE: KEY: MESSAGE`, on one line whatever the file is called.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", one_line(&self.file.to_string_lossy()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with all files together, and the warnings beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Errors {
    /// The faults, in the order of the files and lines; never empty when returned as an error.
    pub errors: Vec<Problem>,
    /// What does not prevent loading.
    pub warnings: Vec<Problem>,
}

impl fmt::Display for Errors {
    /// The faults, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{error}")?;
        }
        Ok(())
    }
}

/// A path as JSON has it, which knows no other text than Unicode.
pub(super) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// The line, counted from 1, in which the byte at `at` stands.
pub(super) fn line_of(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.split(|byte| *byte == b'\n').count()
}

/// A dotted key, quoted where TOML asks for it.
pub(crate) fn dotted(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| quoted(part)).collect();
    parts.join(".")
}

fn quoted(part: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !part.is_empty() && part.chars().all(bare) {
        part.to_owned()
    } else {
        toml::Value::from(part).to_string()
    }
}
