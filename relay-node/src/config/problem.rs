//! What is wrong with a configuration, in sentences for the person who fixes it.

use std::error::Error;
use std::fmt;

/// One thing that is wrong: where, what was found there, why it will not do, and what would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's path, such as `listeners[0].address`.
    pub field: String,
    /// What was found, unless it is a secret or nothing.
    pub value: Option<String>,
    /// Why that will not do.
    pub fault: String,
    /// What would.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        if let Some(value) = &self.value {
            // Debug quotes it and escapes control characters.
            write!(f, " = {value:?}")?;
        }
        write!(f, ": {}. {}.", self.fault, self.fix)
    }
}

/// Everything that is wrong with a configuration, found in one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Problems {
    /// Notes a problem with a value that may be shown.
    pub(super) fn add(
        &mut self,
        field: impl Into<String>,
        value: impl fmt::Display,
        fault: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(field.into(), Some(value.to_string()), fault.into(), fix.into());
    }

    /// Notes a problem with a value that is secret, or that is not there.
    pub(super) fn add_hidden(
        &mut self,
        field: impl Into<String>,
        fault: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.push(field.into(), None, fault.into(), fix.into());
    }

    /// Notes what stops nothing and should be known all the same.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Warns of a file of secrets that every user of the machine can read.
    pub(super) fn warn_of_exposed(&mut self, field: &str, path: impl fmt::Display) {
        let path = path.to_string();
        self.warn(format!(
            "{field} = {path:?}: every user of this machine can read the secrets in it. Run `chmod o-r {path:?}`"
        ));
    }

    /// These problems, and one more.
    pub fn with(mut self, problem: Problem) -> Self {
        self.problems.push(problem);
        self
    }

    /// What stops nothing, once.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The problems, in the order of the configuration.
    pub fn as_slice(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    fn push(&mut self, field: String, value: Option<String>, fault: String, fix: String) {
        self.problems.push(Problem { field, value, fault, fix });
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], warnings: Vec::new() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used:")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl Error for Problems {}
