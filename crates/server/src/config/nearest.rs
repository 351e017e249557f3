//! "Did you mean": the known word nearest to a mistyped one.

/// The candidate that fewest typing slips part from `word`, if these are few for its length.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // One slip in three letters still looks like the same word; more is another word.
    let letters = letters(word);
    let slips_max = (letters.len() / 3).clamp(1, 3);
    candidates
        .into_iter()
        // What differs more in length cannot be meant: a long word is not compared with everything.
        .filter(|candidate| candidate.chars().count().abs_diff(letters.len()) <= slips_max)
        .map(|candidate| (slips(&letters, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Letters missed, added, replaced or swapped with their neighbour between two words: the optimal
/// string alignment distance, without regard to case.
fn slips(from: &[char], to: &str) -> usize {
    let to = letters(to);
    // Row i holds the distances of from's first i letters to each beginning of `to`.
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = last;
        last = row;
    }
    last[to.len()]
}

/// The letters of a word, capitals made small.
fn letters(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        let slips = |from, to| slips(&letters(from), to);
        assert_eq!(slips("lisen", "listen"), 1);
        assert_eq!(slips("inof", "info"), 1);
        assert_eq!(slips("Data-Dir", "data_dir"), 1);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_wins_and_a_stranger_has_none() {
        assert_eq!(nearest("warm", ["error", "warn", "info"]), Some("warn"));
        assert_eq!(nearest("loud", ["error", "warn", "info"]), None);
        assert_eq!(nearest("x", ["error"]), None);
        assert_eq!(nearest("errorororor", ["error"]), None);
        assert_eq!(nearest("eror", ["error", "er"]), Some("error"));
    }
}
