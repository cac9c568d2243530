//! `lint`: what the restart settings of services really do, and what mends them.

pub mod json;
mod text;

use std::io::{self, Write};
use std::path::Path;

use super::prepare::Refusal;
use super::printed;
use crate::cli::Lint;
use crate::exit::Exit;
use crate::restart::lint::{self, Assumed, Fate, Finding};
use crate::restart::read::{ReadError, Source, service_name};
use crate::restart::unit::{Load, Unit};
use crate::restart::version::Version;

/// A service, and what is to be said of it.
#[derive(Debug)]
pub struct Judged {
    /// The service.
    pub unit: Unit,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What becomes of it during the outage; none if it cannot be started.
    pub fate: Option<Fate>,
}

/// Everything that is to be said.
#[derive(Debug)]
pub struct Report {
    /// The systemd that is judged by.
    pub version: Version,
    /// What is assumed of the outage.
    pub assumed: Assumed,
    /// The services: with `--all`, only those with findings.
    pub judged: Vec<Judged>,
    /// With `--all`, what was looked at.
    pub looked: Option<Looked>,
}

/// What `--all` has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// How many services.
    pub services: usize,
    /// How many templates there are, which were left out; none if they were not counted.
    pub templates: Option<usize>,
}

/// Looks at services, and prints what is wrong with them.
pub(super) async fn lint(args: &Lint, root: Option<&Path>) -> Result<Exit, Refusal> {
    if args.units.is_empty() && !args.all {
        return Err(Refusal::new(
            Exit::Usage,
            "lint what? name a service, as in upgrade-gate lint fwupd-refresh, or give --all",
        ));
    }
    let source = Source::open(root, args.scope.scope())
        .await
        .map_err(|error| refusal(&error))?;
    let version = source.version().await.map_err(|error| refusal(&error))?;
    let mut report = Report {
        version: version.unwrap_or_else(unknown_version),
        assumed: Assumed {
            outage: args.outage,
            attempt: args.attempt,
        },
        judged: Vec::new(),
        looked: None,
    };
    let unread = if args.all {
        report.look_at_all(&source).await?;
        None
    } else {
        report.look_at(&source, &args.units).await
    };
    let mut out = io::stdout().lock();
    Ok(match printed(&report.print(args.json, &mut out)) {
        Exit::Ok => unread.unwrap_or(report.exit()),
        fault => fault,
    })
}

impl Report {
    async fn look_at_all(&mut self, source: &Source) -> Result<(), Refusal> {
        let all = source.all().await.map_err(|error| refusal(&error))?;
        for warning in &all.warnings {
            tracing::warn!("{warning}");
        }
        self.looked = Some(Looked {
            services: all.units.len(),
            templates: all.templates,
        });
        let judged = all.units.into_iter().map(|unit| self.judge(unit));
        self.judged = judged
            .filter(|judged| !judged.findings.is_empty())
            .collect();
        Ok(())
    }

    /// What to exit with, if one of them cannot be looked at; the others are.
    async fn look_at(&mut self, source: &Source, words: &[String]) -> Option<Exit> {
        let mut unread = None;
        for word in words {
            match self.read(source, word).await {
                Ok(judged) => self.judged.push(judged),
                Err(refusal) => {
                    tracing::error!("{refusal}");
                    unread.get_or_insert(refusal.exit);
                }
            }
        }
        unread
    }

    async fn read(&self, source: &Source, word: &str) -> Result<Judged, Refusal> {
        let unit = match service_name(word) {
            Ok(name) => source.unit(&name).await,
            Err(error) => Err(error),
        };
        let judged = self.judge(unit.map_err(|error| refusal(&error))?);
        match unstartable(&judged) {
            Some(why) => Err(Refusal::new(Exit::Unavailable, &why)),
            None => Ok(judged),
        }
    }

    /// What is to be said of a unit.
    pub fn judge(&self, unit: Unit) -> Judged {
        Judged {
            findings: lint::findings(&unit, self.version, self.assumed),
            fate: lint::fate(&unit, self.version, self.assumed),
            unit,
        }
    }

    fn exit(&self) -> Exit {
        let clean = self.judged.iter().all(|judged| judged.findings.is_empty());
        if clean { Exit::Ok } else { Exit::Findings }
    }

    fn print(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            writeln!(out, "{}", json::line(self))
        } else {
            out.write_all(text::text(self, text::width()).as_bytes())
        }
    }
}

/// Why there is nothing to say of a unit.
fn unstartable(Judged { unit, findings, .. }: &Judged) -> Option<String> {
    let name = &unit.name;
    match &unit.load {
        Load::Loaded => None,
        Load::NotFound => Some(format!(
            "there is no unit {name}; systemctl list-unit-files '*.service' lists those there are"
        )),
        Load::Masked => Some(format!(
            "{name} is masked, so that nothing starts it; systemctl unmask {name} undoes that"
        )),
        Load::Refused(_) if !findings.is_empty() => None,
        Load::Refused(why) => Some(format!(
            "systemd refuses {name}: {why}; mend its file, and call systemctl daemon-reload"
        )),
    }
}

/// Debian 13's, and in what matters here that of the years around it.
const LIKELY: Version = Version(257);

fn unknown_version() -> Version {
    tracing::warn!("no file tells which systemd this is; judged as by {LIKELY}");
    LIKELY
}

fn refusal(error: &ReadError) -> Refusal {
    let exit = match error {
        ReadError::NoRoot(_)
        | ReadError::Name { .. }
        | ReadError::Template(_)
        | ReadError::NoService(_) => Exit::Usage,
        ReadError::Unknown { .. } => Exit::Fault,
        ReadError::Bus(_) | ReadError::NoSystemd { .. } | ReadError::Failed { .. } => {
            Exit::Unavailable
        }
    };
    Refusal::new(exit, error)
}
