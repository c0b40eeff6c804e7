//! What a command prints, and whether that is all.

use std::fmt;

use serde::Serialize;

use super::reach::Output;
use super::table::Table;

/// What a command prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// Why it is not all, for a person; the command ends with another code then.
    pub incomplete: Option<String>,
}

impl Answer {
    /// A sentence for people or `value` for programs.
    pub(super) fn new(output: Output, sentence: impl fmt::Display, value: &impl Serialize) -> Self {
        let text = match output {
            Output::Table => sentence.to_string(),
            // What comes from the contracts is numbers and text, which JSON holds.
            Output::Json => serde_json::to_string_pretty(value).unwrap_or_default(),
        };
        Self { text, incomplete: None }
    }

    /// A table for people or `rows` for programs.
    pub(super) fn table<T: Serialize>(
        output: Output,
        columns: &'static [&'static str],
        rows: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) -> Self {
        Self::new(output, Table::new(columns, rows.iter().map(cells).collect()), &rows)
    }

    /// The same, of which something is missing unless `because` is empty.
    pub(super) fn unless(self, because: impl Into<String>) -> Self {
        let because = because.into();
        Self { incomplete: (!because.is_empty()).then_some(because), ..self }
    }
}
