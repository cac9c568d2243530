//! What the fake manager knows, and what it answers from it.

use std::collections::BTreeMap;
use std::time::Duration;

use upgrade_gate::sys::clock;
use zbus::{Message, ObjectPath, Variant};

use super::PATH;

/// What becomes of a unit that is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// It is active from then on.
    #[default]
    Stays,
    /// It runs to its end, and is inactive.
    Ends,
    /// It fails.
    Fails,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Unit {
    pub(super) state: &'static str,
    pub(super) start: Start,
    pub(super) began: Duration,
    pub(super) failed: Duration,
    pub(super) was_active: bool,
    pub(super) restarts: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) units: BTreeMap<String, Unit>,
    pub(super) calls: Vec<String>,
    pub(super) jobs: BTreeMap<u32, (String, bool)>,
    last_job: u32,
    pub(super) holds_jobs: bool,
    pub(super) subscribed: bool,
}

pub(super) type Listed = (
    String,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    ObjectPath<'static>,
    u32,
    &'static str,
    ObjectPath<'static>,
);

pub(super) enum Reply {
    Nothing,
    Path(ObjectPath<'static>),
    Units(Vec<Listed>),
    Files(Vec<(String, &'static str)>),
    Value(Variant<'static>),
}

impl State {
    pub(super) fn reply(&mut self, call: &Message) -> Result<Reply, &'static str> {
        let header = call.header();
        let body = call.body();
        let member = header.member().map_or("", |member| member.as_str());
        match member {
            "Subscribe" => {
                self.calls.push("subscribe".to_owned());
                self.subscribed = true;
                Ok(Reply::Nothing)
            }
            "StartUnit" | "StopUnit" => {
                let (unit, _): (String, String) = body.deserialize().unwrap();
                let start = member == "StartUnit";
                let verb = if start { "start" } else { "stop" };
                self.calls.push(format!("{verb} {unit}"));
                self.known(&unit)?;
                let job = self.queue(&unit, start);
                Ok(Reply::Path(ObjectPath::try_from(job_path(job)).unwrap()))
            }
            "ResetFailedUnit" => {
                let unit: String = body.deserialize().unwrap();
                self.calls.push(format!("reset-failed {unit}"));
                self.known(&unit)?;
                self.units.get_mut(&unit).unwrap().state = "inactive";
                Ok(Reply::Nothing)
            }
            "LoadUnit" => {
                let unit: String = body.deserialize().unwrap();
                Ok(Reply::Path(unit_path(&unit)))
            }
            "ListUnitsByPatterns" => {
                let (states, patterns): (Vec<String>, Vec<String>) = body.deserialize().unwrap();
                Ok(Reply::Units(self.list(&states, &patterns)))
            }
            "ListUnitFilesByPatterns" => {
                let (_, patterns): (Vec<String>, Vec<String>) = body.deserialize().unwrap();
                let files = self.units.keys().filter(|name| matches(name, &patterns));
                Ok(Reply::Files(
                    files.map(|name| (format!("/{name}"), "static")).collect(),
                ))
            }
            "Get" => {
                let (_, property): (String, String) = body.deserialize().unwrap();
                let path = header.path().unwrap().as_str();
                Ok(Reply::Value(self.property(path, &property)))
            }
            _ => Err("org.freedesktop.DBus.Error.UnknownMethod"),
        }
    }

    fn known(&self, unit: &str) -> Result<(), &'static str> {
        let known = self.units.contains_key(unit);
        known
            .then_some(())
            .ok_or("org.freedesktop.systemd1.NoSuchUnit")
    }

    pub(super) fn queue(&mut self, unit: &str, start: bool) -> u32 {
        self.last_job += 1;
        self.jobs.insert(self.last_job, (unit.to_owned(), start));
        self.last_job
    }

    /// Runs a job to its end, and says how it ended.
    pub(super) fn run(&mut self, job: u32) -> &'static str {
        let (name, start) = self.jobs.remove(&job).unwrap();
        let unit = self.units.get_mut(&name).unwrap();
        let now = clock::now().monotonic.0;
        (unit.state, unit.began) = match (start, unit.start) {
            (true, Start::Stays) => ("active", now),
            (true, Start::Fails) => ("failed", now),
            (true, Start::Ends) | (false, _) => ("inactive", unit.began),
        };
        unit.was_active |= unit.state == "active";
        if unit.state == "failed" {
            unit.failed = now;
            return "failed";
        }
        "done"
    }

    fn list(&self, states: &[String], patterns: &[String]) -> Vec<Listed> {
        let units = self.units.iter().filter(|(name, unit)| {
            let wanted = states.is_empty() || states.iter().any(|state| state == unit.state);
            wanted && matches(name, patterns)
        });
        let listed = units.map(|(name, unit)| {
            let job = self.jobs.iter().find(|(_, (unit, _))| unit == name);
            let job = job.map_or(0, |(job, _)| *job);
            let job_type = if unit.restarts { "restart" } else { "" };
            let path = ObjectPath::try_from(job_path(job)).unwrap();
            let state = unit.state;
            let path_of_unit = unit_path(name);
            (
                name.clone(),
                "",
                "loaded",
                state,
                state,
                "",
                path_of_unit,
                job,
                job_type,
                path,
            )
        });
        listed.collect()
    }

    fn property(&self, path: &str, property: &str) -> Variant<'static> {
        let unit = self
            .units
            .iter()
            .find(|(name, _)| unit_path(name).as_str() == path);
        let unit = unit.map(|(_, unit)| unit.clone()).unwrap_or_default();
        let usec = |at: Duration| Variant::from(u64::try_from(at.as_micros()).unwrap());
        match property {
            "ActiveState" => Variant::from(unit.state),
            "InactiveExitTimestampMonotonic" => usec(unit.began),
            "ActiveEnterTimestampMonotonic" => Variant::from(u64::from(unit.was_active)),
            "InactiveEnterTimestampMonotonic" | "StateChangeTimestampMonotonic" => {
                usec(unit.failed)
            }
            _ => panic!("nobody should ask for {property}"),
        }
    }
}

pub(super) fn job_path(job: u32) -> String {
    format!("{PATH}/job/{job}")
}

fn unit_path(name: &str) -> ObjectPath<'static> {
    let escape = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("_{:02x}", u32::from(c)),
    };
    let escaped: String = name.chars().map(escape).collect();
    ObjectPath::try_from(format!("{PATH}/unit/{escaped}")).unwrap()
}

/// As fnmatch(3), but for `*` alone.
fn matches(name: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| fits(name, pattern))
}

fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.into_iter().any(|at| fits(&rest[at..], after))
        }),
    }
}
