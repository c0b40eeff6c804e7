use super::example::{allocation, channel, permission, write_allocation};
use crate::recovery::records::{Records, read, remove_all_but};
use crate::recovery::vault::tests::with_both;

#[test]
fn what_was_written_is_read() {
    with_both(|vault| {
        let mut records = Records::create(vault, 7, 2).unwrap();
        let long = "a".repeat(508);
        let (one, two) = (allocation(0, 1, 50_000, "alice"), allocation(5, 1, 50_002, &long));
        records[0].write(&write_allocation(&one)).unwrap();
        records[1].write(&write_allocation(&two)).unwrap();
        records[1].write(&permission(3, &two, [203, 0, 113, 1].into())).unwrap();
        records[1].write(&channel(4, &two, 0x4001, ([203, 0, 113, 1], 9).into())).unwrap();
        let estate = read(vault, 7).unwrap();
        assert_eq!(estate.damaged, 0);
        let mut survivors = estate.survivors;
        survivors.sort_by_key(|survivor| survivor.allocation.id);
        assert_eq!(survivors.iter().map(|it| &it.allocation).collect::<Vec<_>>(), [&one, &two]);
        assert_eq!((survivors[1].permissions.len(), survivors[1].channels.len()), (1, 1));
        remove_all_but(vault, &[]).unwrap();
        assert!(read(vault, 7).is_err());
    });
}
