//! `lint`: what the restart settings of services really do, and what fixes them.

pub mod json;
mod text;

use std::io::{self, Write};
use std::path::Path;

use super::prepare::Refusal;
use super::printed;
use crate::cli::Lint;
use crate::exit::Exit;
use crate::systemd::lint;
use crate::systemd::lint::{Assumed, Finding, Prediction};
use crate::systemd::read::files::version_below;
use crate::systemd::read::scope::Scope;
use crate::systemd::read::{ReadError, UnitSource, service_name, unit_in_file};
use crate::systemd::unit::{Load, Unit};
use crate::systemd::version::Version;

/// A service, and what is to be said of it.
#[derive(Debug)]
pub struct JudgedService {
    /// The service.
    pub unit: Unit,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What becomes of it during the outage; none if it cannot be started.
    pub prediction: Option<Prediction>,
}

impl JudgedService {
    /// Why systemd refuses the unit, unless a finding says so (UG007).
    fn unsaid_refusal(&self) -> Option<String> {
        let Load::Refused(why) = &self.unit.load else {
            return None;
        };
        let is_said = self.findings.iter().any(|found| found.rule.id == "UG007");
        (!is_said).then(|| format!("systemd refuses {}: {why}", self.unit.name))
    }
}

/// Everything that is to be said.
#[derive(Debug)]
pub struct LintReport {
    /// The systemd that is judged by.
    pub version: Version,
    /// Whose services they are.
    pub scope: Scope,
    /// What is assumed of the outage.
    pub assumed: Assumed,
    /// The services: with `--all`, only those with findings.
    pub judged: Vec<JudgedService>,
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
            "no service given; name one, as in upgrade-gate lint fwupd-refresh, or give --all",
        ));
    }
    let place = LintPlace { root, args };
    let source = place.source().await?;
    let version = place.version(source.as_ref()).await?;
    let mut report = LintReport {
        version: version.unwrap_or_else(unknown_version),
        scope: args.scope.scope(),
        assumed: Assumed {
            outage: args.outage,
            attempt: args.attempt,
            of_user: args.scope.scope() != Scope::System,
        },
        judged: Vec::new(),
        looked: None,
    };
    let unread = match &source {
        Some(source) if args.all => report.look_at_all(source).await?,
        source => report.look_at(source.as_ref(), &place).await,
    };
    let mut out = io::stdout().lock();
    Ok(match printed(&report.print(args.json, &mut out)) {
        Exit::Ok => unread.unwrap_or(report.exit()),
        fault => fault,
    })
}

/// Where the units are that are asked for.
struct LintPlace<'a> {
    root: Option<&'a Path>,
    args: &'a Lint,
}

impl LintPlace<'_> {
    /// Where units are looked up by name; nowhere, if files alone are asked for.
    async fn source(&self) -> Result<Option<UnitSource>, Refusal> {
        let files_only = !self.args.all && self.args.units.iter().all(|word| is_path(word));
        if files_only {
            return Ok(None);
        }
        let source = UnitSource::open(self.root, self.args.scope.scope()).await;
        source.map(Some).map_err(|error| refusal(&error))
    }

    async fn version(&self, source: Option<&UnitSource>) -> Result<Option<Version>, Refusal> {
        match source {
            Some(source) => source.version().await.map_err(|error| refusal(&error)),
            None => Ok(version_below(self.root.unwrap_or(Path::new("/")))),
        }
    }

    /// Why systemd refuses a unit, and what to do.
    fn refused(&self, judged: &JudgedService) -> Option<String> {
        let user = self.user();
        let why = judged.unsaid_refusal()?;
        Some(format!(
            "{why}; fix its file, and run \"systemctl{user} daemon-reload\" to apply"
        ))
    }

    /// What systemctl is given for units of this scope.
    fn user(&self) -> String {
        let flag = self.args.scope.scope().flag();
        flag.map(|flag| format!(" {flag}")).unwrap_or_default()
    }

    /// Why there is nothing to say of a unit.
    fn unstartable(&self, judged: &JudgedService, running: bool) -> Option<String> {
        let JudgedService { unit, findings, .. } = judged;
        let name = &unit.name;
        let user = self.user();
        match &unit.load {
            Load::NotFound if running => Some(format!(
                "no unit {name}; to list units: systemctl{user} list-unit-files '*.service'"
            )),
            Load::NotFound => Some(format!(
                "no unit {name}; to read a file, give its path: ./{name}"
            )),
            Load::Masked => Some(format!(
                "{name} is masked, so nothing starts it; to unmask it: systemctl{user} unmask {name}"
            )),
            Load::Refused(_) if findings.is_empty() => self.refused(judged),
            Load::Unreadable(why) => Some(why.clone()),
            Load::Loaded | Load::Refused(_) => None,
        }
    }
}

/// `./my.service`: no unit's name has a slash.
fn is_path(word: &str) -> bool {
    word.contains('/')
}

impl LintReport {
    /// What to exit with, if one of them cannot be read; the others are judged.
    async fn look_at_all(&mut self, source: &UnitSource) -> Result<Option<Exit>, Refusal> {
        let mut all = source.all().await.map_err(|error| refusal(&error))?;
        let unreadable = |unit: &mut Unit| matches!(unit.load, Load::Unreadable(_));
        let unread: Vec<_> = all.units.extract_if(.., unreadable).collect();
        for unit in &unread {
            if let Load::Unreadable(why) = &unit.load {
                tracing::error!("{}: {why}", unit.name);
            }
        }
        for warning in &all.warnings {
            tracing::warn!("{warning}");
        }
        self.looked = Some(Looked {
            services: all.units.len(),
            templates: all.templates,
        });
        let judged: Vec<_> = all.units.into_iter().map(|unit| self.judge(unit)).collect();
        for why in judged.iter().filter_map(JudgedService::unsaid_refusal) {
            tracing::warn!("{why}");
        }
        let found = judged.into_iter();
        self.judged = found.filter(|judged| !judged.findings.is_empty()).collect();
        Ok((!unread.is_empty()).then_some(Exit::Unavailable))
    }

    /// What to exit with, if one of them cannot be looked at; the others are.
    async fn look_at(
        &mut self,
        source: Option<&UnitSource>,
        place: &LintPlace<'_>,
    ) -> Option<Exit> {
        let mut unread = None;
        for word in &place.args.units {
            match self.read(source, word, place).await {
                Ok(judged) => {
                    if let Some(why) = place.refused(&judged) {
                        tracing::error!("{why}");
                        unread.get_or_insert(Exit::Unavailable);
                    }
                    self.judged.push(judged);
                }
                Err(refusal) => {
                    tracing::error!("{refusal}");
                    unread.get_or_insert(refusal.exit);
                }
            }
        }
        unread
    }

    async fn read(
        &self,
        source: Option<&UnitSource>,
        word: &str,
        place: &LintPlace<'_>,
    ) -> Result<JudgedService, Refusal> {
        let source = source.filter(|_| !is_path(word));
        let unit = match (source, service_name(word)) {
            (None, _) => unit_in_file(Path::new(word)),
            (Some(source), Ok(name)) => source.unit(&name).await,
            (Some(_), Err(error)) => Err(error),
        };
        let judged = self.judge(unit.map_err(|error| refusal(&error))?);
        match place.unstartable(&judged, source.is_some_and(UnitSource::is_running)) {
            Some(why) => Err(Refusal::new(Exit::Unavailable, &why)),
            None => Ok(judged),
        }
    }

    /// What is to be said of a unit.
    pub fn judge(&self, unit: Unit) -> JudgedService {
        let mut findings = lint::findings(&unit, self.version, self.assumed);
        if let Some(flag) = self.scope.flag() {
            let commands = findings
                .iter_mut()
                .flat_map(|found| &mut found.said.command);
            for command in commands {
                *command = command.replace("drop-in ", &format!("drop-in {flag} "));
            }
        }
        JudgedService {
            findings,
            prediction: lint::prediction(&unit, self.version, self.assumed),
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

/// Debian 13's, and in what matters here that of the years around it.
const LIKELY: Version = Version(257);

fn unknown_version() -> Version {
    tracing::warn!("the version of systemd is in no file, assuming {LIKELY}");
    LIKELY
}

fn refusal(error: &ReadError) -> Refusal {
    let exit = match error {
        ReadError::NoRoot(_)
        | ReadError::Name { .. }
        | ReadError::Template(_)
        | ReadError::NoService(_)
        | ReadError::NoServiceFile(_) => Exit::Usage,
        ReadError::Unknown { .. } => Exit::Fault,
        ReadError::Bus(_)
        | ReadError::NoFile(_)
        | ReadError::Unreadable { .. }
        | ReadError::NoSystemd { .. }
        | ReadError::Failed { .. } => Exit::Unavailable,
    };
    Refusal::new(exit, error)
}
