//! The names of all settings, for who mistyped one.

use super::layers::PREFIX;

/// It names every setting, with a default or commented out; tests see to that.
const EXAMPLE: &str = include_str!("../../edgerelay.example.toml");

/// The setting whose name is the nearest to `path`, as a variable if that is how `path` was given.
pub(super) fn nearest(path: &str, as_variable: bool) -> Option<String> {
    let name = all().min_by_key(|name| distance(path, name))?;
    Some(if as_variable { PREFIX.to_owned() + &name.to_uppercase().replace('.', "__") } else { name })
}

/// The path of every setting, in the order of the example file.
pub(super) fn all() -> impl Iterator<Item = String> {
    let mut section = String::new();
    EXAMPLE.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
            return None;
        }
        let (name, _) = line.trim_start_matches('#').split_once(" = ")?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        is_name.then(|| format!("{section}{name}"))
    })
}

/// How many slips of the pen are between two paths. A right name in a wrong place is one.
fn distance(one: &str, other: &str) -> usize {
    let flat = |path: &str| path.replace("__", "_").replace('.', "_");
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let paths = strsim::damerau_levenshtein(&flat(one), &flat(other));
    paths.min(strsim::damerau_levenshtein(&last(one), &last(other)) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen() {
        for (path, name) in [
            ("relm", "realm"),
            ("relay_ports", "relay.ports"),
            ("ports", "relay.ports"),
            ("limits.user.alocations", "limits.user.allocations"),
            ("limits.total.alocations", "limits.total.allocations"),
            ("limits__total__channel", "limits.total.channels"),
            ("credentials.rest_secret_file", "credentials.rest_secret_files"),
            ("telemetry.loglevel", "telemetry.log_level"),
        ] {
            assert_eq!(nearest(path, false).unwrap(), name, "{path}");
        }
        assert_eq!(nearest("relay_port", true).unwrap(), "EDGERELAY_RELAY__PORTS");
    }
}
