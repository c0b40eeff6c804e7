//! Deployments whose relay has handed over to another one's: what starts them again, such as the restart policy of
//! a container, must not take back what a newer version has.

use std::io;

use super::Vault;

/// The piece's name.
const NAME: &str = "superseded";
/// So many names are remembered.
const MOST: usize = 64;

/// Whether the deployment of this name has handed over. One without a name has not.
pub fn contains(vault: &Vault, instance: &str) -> io::Result<bool> {
    Ok(!instance.is_empty() && names(vault)?.iter().any(|name| name == instance))
}

/// The deployment called `old` has handed over to `new`, which serves from now on.
pub fn add(vault: &Vault, old: &str, new: &str) -> io::Result<()> {
    if old.is_empty() || old == new {
        return Ok(());
    }
    let mut names = names(vault)?;
    names.retain(|name| name != old && name != new);
    names.push(old.to_owned());
    let too_many = names.len().saturating_sub(MOST);
    vault.keep(NAME, &serde_json::to_vec(names.get(too_many..).unwrap_or_default())?)
}

fn names(vault: &Vault) -> io::Result<Vec<String>> {
    let kept = vault.kept(NAME)?;
    Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_handed_over_is_known_until_many_others_have() {
        let vault = Vault::in_memory();
        assert!(!contains(&vault, "a").unwrap());
        add(&vault, "a", "b").unwrap();
        assert!(contains(&vault, "a").unwrap() && !contains(&vault, "b").unwrap());
        for number in 0..MOST {
            add(&vault, &format!("pod-{number}"), "b").unwrap();
        }
        assert!(!contains(&vault, "a").unwrap() && contains(&vault, "pod-0").unwrap());
    }

    #[test]
    fn without_a_name_every_start_is_a_new_one() {
        let vault = Vault::in_memory();
        add(&vault, "", "b").unwrap();
        add(&vault, "b", "b").unwrap();
        assert!(!contains(&vault, "").unwrap() && !contains(&vault, "b").unwrap());
    }

    #[test]
    fn one_that_is_handed_to_again_serves() {
        let vault = Vault::in_memory();
        add(&vault, "a", "b").unwrap();
        add(&vault, "b", "a").unwrap();
        assert!(!contains(&vault, "a").unwrap() && contains(&vault, "b").unwrap());
    }
}
