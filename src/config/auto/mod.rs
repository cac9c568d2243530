//! Pending.
use super::target::Target;
use std::path::PathBuf;
/// Pending.
#[derive(Debug, Default)]
pub struct Derived {
    /// Pending.
    pub groups: Vec<Vec<Target>>,
    /// Pending.
    pub notes: Vec<String>,
    /// Pending.
    pub warnings: Vec<String>,
    /// Pending.
    pub ssl_cert_file: Option<PathBuf>,
}

impl Derived {
    /// Pending.
    pub fn lines(&self) -> Vec<String> {
        self.notes.clone()
    }
}
