//! What pieces with records are called: `records.GENERATION.WORKER`, and `records.GENERATION.node`.

use super::format::Owner;

/// The name of an owner's records.
pub(super) fn of(generation: u64, owner: Owner) -> String {
    match owner {
        Owner::Worker(worker) => format!("records.{generation}.{worker}"),
        Owner::Node => format!("records.{generation}.node"),
    }
}

/// Whose records a piece has, if it has any.
pub(super) fn parse(name: &str) -> Option<(u64, Owner)> {
    let (generation, owner) = name.strip_prefix("records.")?.split_once('.')?;
    let generation = generation.parse().ok()?;
    let owner = match owner {
        "node" => Owner::Node,
        worker => Owner::Worker(worker.parse().ok()?),
    };
    // One form only, so that no two are of the same.
    (name == of(generation, owner)).then_some((generation, owner))
}
