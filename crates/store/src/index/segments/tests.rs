//! What the index says of segments.

use super::*;

const QUEUE: QueueId = QueueId(1 << 32);

fn written(seq: Seq, segment: u32) -> Written {
    Written {
        seq,
        segment,
        place: Place::new(4096, 128),
        transient: false,
        body: 10,
    }
}

fn delivered(seq: Seq) -> Mark {
    let range = Range {
        queue: QUEUE,
        first: seq,
        last: seq,
    };
    Mark { range, count: 1 }
}

fn needed_by(index: &Index, segment: u32) -> Vec<u32> {
    let state = index.segments.get(&segment);
    state.map_or_else(Vec::new, |state| state.needed_by.iter().copied().collect())
}

/// As the log is read back: two messages in segment 1, the first of them marked in segment 2.
fn recovered() -> Index {
    let mut index = Index::opening();
    index.put_run(QUEUE, &[written(0, 1), written(1, 1)]);
    index.recover_mark(2, delivered(0));
    let touched = index.take_touched();
    index.note_ranges(2, 64, &touched);
    assert_eq!(needed_by(&index, 2), [1]);
    index
}

#[test]
fn marks_of_a_copy_without_its_own_are_needed_as_long_as_the_copy() {
    let mut index = recovered();
    // Compaction was killed after it had written the copy, and before its mark.
    assert!(index.recover_put(QUEUE, written(0, 3)));
    index.keep_marks_of_copies(3);
    assert_eq!(needed_by(&index, 2), [1, 3]);
    assert!(needed_by(&index, 1).is_empty(), "it holds no marks");
    assert!(needed_by(&index, 3).is_empty());
    // A copy of the copy.
    index.put_run(QUEUE, &[written(0, 4)]);
    index.keep_marks_of_copies(4);
    index.remove_segment(1);
    index.remove_segment(3);
    assert_eq!(needed_by(&index, 2), [4]);
}

#[test]
fn what_was_never_delivered_needs_no_marks() {
    let mut index = recovered();
    assert!(!index.recover_put(QUEUE, written(1, 3)));
    index.keep_marks_of_copies(4);
    assert_eq!(needed_by(&index, 2), [1]);
}

#[test]
fn a_copy_has_the_count_that_stands_before_it_when_its_original_is_gone() {
    let mut index = Index::opening();
    // Segment 1, which held the original, was deleted; the crash came between the copy and its count.
    let mut mark = delivered(0);
    mark.range.last = 1;
    mark.count = 3;
    index.recover_mark(2, mark);
    index.put_run(QUEUE, &[written(5, 2)]);
    assert!(index.recover_put(QUEUE, written(1, 4)));
    assert!(!index.recover_put(QUEUE, written(2, 4)));
    let mut marks = Vec::new();
    let all = Range {
        queue: QUEUE,
        first: 0,
        last: 9,
    };
    index.marks(&[all], &mut marks);
    let counts = marks.iter().map(|mark| (mark.range.first, mark.count));
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 3)]);
    assert_eq!(
        needed_by(&index, 2),
        [4],
        "it is needed as long as the copy"
    );
    index.drop_unclaimed(1);
    assert!(!index.recover_put(QUEUE, written(0, 5)), "known no longer");
}

#[test]
fn a_settle_is_needed_by_the_first_copy_though_the_second_is_gone() {
    let mut index = Index::opening();
    index.put_run(QUEUE, &[written(0, 1), written(1, 1)]);
    // Copied twice. The first segment stays for its own reasons, the second goes.
    index.put_run(QUEUE, &[written(0, 2)]);
    index.put_run(QUEUE, &[written(0, 3)]);
    index.remove_segment(2);
    let range = Range {
        queue: QUEUE,
        first: 0,
        last: 0,
    };
    assert!(index.settle(range).is_some());
    let touched = index.take_touched();
    index.note_ranges(4, 64, &touched);
    assert_eq!(needed_by(&index, 4), [1, 3]);
}

#[test]
fn nothing_is_needed_by_a_segment_that_is_gone() {
    let mut index = Index::opening();
    index.put_run(QUEUE, &[written(0, 1), written(1, 2)]);
    let touched = BTreeSet::from([1, 2]);
    index.remove_segment(1);
    index.note_ranges(3, 64, &touched);
    assert_eq!(needed_by(&index, 3), [2]);
}

#[test]
fn marks_are_needed_by_copies_that_are_still_on_their_way() {
    let mut index = recovered();
    // The batch with the copy rolls over to a new segment, and its marks to the next.
    index.expect_copies(3);
    let touched = BTreeSet::from([3]);
    index.note_ranges(4, 64, &touched);
    index.put_run(QUEUE, &[written(0, 3)]);
    index.remove_segment(1);
    assert_eq!(needed_by(&index, 4), [3]);
}
