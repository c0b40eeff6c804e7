//! What records take of memory, and that none of it is in a core dump.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::recovery::Vault;
use crate::recovery::example::example;
use crate::recovery::records::Records;

#[test]
fn an_allocation_with_a_permission_and_a_channel_takes_less_than_a_thousand_bytes() {
    const COUNT: u32 = 10_000;
    let vault = Vault::in_memory();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    for n in 0..COUNT {
        let of = example(n);
        let changes =
            [of.change(), of.permission(n, [203, 0, 113, 1]), of.channel(n, 0x4000, ([203, 0, 113, 1], 9))];
        changes.iter().for_each(|change| records[0].write(change).unwrap());
    }
    let file = fs::File::from(vault.open("records.1.0").unwrap().unwrap());
    let taken = file.metadata().unwrap().blocks() * 512 / u64::from(COUNT);
    println!("an allocation with a permission and a channel takes {taken} bytes");
    assert!(taken <= 1000, "{taken}");
}

#[test]
fn no_core_dump_has_them() {
    let vault = Vault::in_memory();
    let mut records = Records::create(&vault, 1, 1).unwrap();
    records[0].write(&example(0).change()).unwrap();
    let tallies = records[0].tallies().as_ptr_range();
    let (first, last) = (tallies.start as usize, tallies.end as usize - 1);
    let mut seen = Vec::new();
    let mut of_records = false;
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        let bounds = range.map(|(start, end)| [start, end].map(|it| usize::from_str_radix(it, 16)));
        if let Some([Ok(start), Ok(end)]) = bounds {
            of_records =
                line.contains("records.1.") || [first, last].iter().any(|it| (start..end).contains(it));
        } else if of_records && let Some(flags) = line.strip_prefix("VmFlags:") {
            seen.push(flags.split_whitespace().any(|flag| flag == "dd"));
        }
    }
    // The cells of allocations, tallies in the file, and those that are not yet there.
    assert!(seen.len() >= 3 && seen.iter().all(|left_out| *left_out), "{seen:?}");
}
