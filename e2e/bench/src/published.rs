//! The one run that is kept, and README's figures made of it.

use std::{fs, io, path::PathBuf};

use crate::report::{Detail, Report};

/// What stands before README's figures.
const BEGIN: &str =
    "<!-- Made by `cargo run --release -p edgerelay-bench -- table`; edit nothing from here -->\n";
/// What stands behind them.
const END: &str = "<!-- to here. -->\n";

/// Why README cannot have its figures.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The kept run.
    #[error("{0} is not what `publish` writes: {1}")]
    Report(PathBuf, serde_json::Error),
    /// README.
    #[error("README.md has no place for figures: it lacks the two lines\n{BEGIN}{END}")]
    NoPlace,
}

/// Keeps `report` and makes README's figures of it.
pub fn publish(report: &Report) -> Result<(), PublishedError> {
    let path = kept();
    let json =
        serde_json::to_vec_pretty(report).map_err(|error| PublishedError::Report(path.clone(), error))?;
    fs::write(&path, json).map_err(|source| PublishedError::File { path, source })?;
    Readme::read()?.write()
}

/// Where the run is kept, in the checkout that this program was built in.
fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results/published.json")
}

/// README and what it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readme {
    path: PathBuf,
    /// As it is.
    pub current: String,
    /// With the figures of the kept run.
    pub wanted: String,
}

impl Readme {
    /// Reads README and the kept run, of the checkout that this program was built in.
    pub fn read() -> Result<Self, PublishedError> {
        let (path, kept) = (PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../README.md"), kept());
        let current = read(&path)?;
        let report: Report =
            serde_json::from_str(&read(&kept)?).map_err(|error| PublishedError::Report(kept, error))?;
        let wanted = with_figures(&current, &report).ok_or(PublishedError::NoPlace)?;
        Ok(Self { path, current, wanted })
    }

    /// Writes what it is to be.
    pub fn write(&self) -> Result<(), PublishedError> {
        fs::write(&self.path, &self.wanted)
            .map_err(|source| PublishedError::File { path: self.path.clone(), source })
    }
}

fn read(path: &PathBuf) -> Result<String, PublishedError> {
    fs::read_to_string(path).map_err(|source| PublishedError::File { path: path.clone(), source })
}

/// `readme` with the tables of `report` between the two marks, if it has them.
fn with_figures(readme: &str, report: &Report) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let figures = report.markdown(Detail::Medians);
    Some(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_between_the_marks_and_nothing_else_changes() {
        let report = Report { machine: "a machine".to_owned(), ..Report::default() };
        let readme = format!("before\n{BEGIN}old figures\n{END}after\n");
        let once = with_figures(&readme, &report).unwrap();
        assert!(once.starts_with("before\n<!--") && once.ends_with("-->\nafter\n"), "{once}");
        assert!(once.contains("a machine") && !once.contains("old figures"), "{once}");
        assert_eq!(with_figures(&once, &report).unwrap(), once);
        assert_eq!(with_figures("no marks", &report), None);
    }

    #[test]
    fn readme_tells_what_the_kept_run_says() {
        let readme = Readme::read().unwrap();
        assert!(
            readme.current == readme.wanted,
            "README.md is not made of results/published.json: run `cargo run --release -p edgerelay-bench -- table`"
        );
    }
}
