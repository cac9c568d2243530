//! What waits for a reader: bounded, the oldest dropped first, and what was dropped counted. Pure.

use std::collections::VecDeque;

/// How many bytes wait at most, the newest item aside: as much as a pipe holds.
pub(super) const LIMIT: usize = 64 * 1024;

/// Whole items, in order; the first may have been sent in part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    items: VecDeque<Vec<u8>>,
    /// Of all items.
    bytes: usize,
    /// How much of the first item is sent: one that was begun is always ended, or lines would run into each other.
    begun: usize,
    /// How many were dropped and have not been spoken of.
    lost: u64,
    /// How many of these the first item speaks of; 0 if it is an item like any other.
    noticed: u64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            begun: 0,
            lost: 0,
            noticed: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an item, and drops the oldest in its favour.
    pub(super) fn push(&mut self, item: Vec<u8>) {
        while self.bytes + item.len() > LIMIT && self.drop_oldest() {}
        if !item.is_empty() {
            self.bytes += item.len();
            self.items.push_back(item);
        }
    }

    /// Takes back what is outdated, and was not begun. It does not count as lost.
    pub(super) fn remove(&mut self, outdated: impl Fn(&[u8]) -> bool) {
        let kept = usize::from(self.begun > 0);
        let mut position = 0;
        self.items.retain(|item| {
            position += 1;
            position <= kept || !outdated(item)
        });
        self.bytes = self.items.iter().map(Vec::len).sum();
    }

    /// The rest of the first item. Where items were dropped, `notice` says first how many; it may say nothing.
    pub(super) fn next(&mut self, notice: impl Fn(u64) -> Vec<u8>) -> Option<&[u8]> {
        if self.lost > 0 && self.begun == 0 {
            self.put_notice(notice);
        }
        self.items.front().map(|item| &item[self.begun..])
    }

    /// So many bytes of what is next have been sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.begun += bytes;
        if self
            .items
            .front()
            .is_some_and(|item| self.begun >= item.len())
        {
            self.discard();
        }
    }

    /// Drops the first item, as it is sent or cannot be.
    pub(super) fn discard(&mut self) {
        self.begun = 0;
        self.noticed = 0;
        if let Some(item) = self.items.pop_front() {
            self.bytes -= item.len();
        }
    }

    /// Whether there was one that nobody has seen a part of.
    fn drop_oldest(&mut self) -> bool {
        self.withdraw_notice();
        let Some(item) = self.items.remove(usize::from(self.begun > 0)) else {
            return false;
        };
        self.bytes -= item.len();
        self.lost += 1;
        true
    }

    fn put_notice(&mut self, notice: impl Fn(u64) -> Vec<u8>) {
        let lost = std::mem::take(&mut self.lost);
        let notice = notice(lost);
        if !notice.is_empty() {
            self.noticed = lost;
            self.bytes += notice.len();
            self.items.push_front(notice);
        }
    }

    /// More will have been lost when it is said.
    fn withdraw_notice(&mut self) {
        if self.noticed > 0 && self.begun == 0 {
            self.lost += self.noticed;
            self.discard();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(lost: u64) -> Vec<u8> {
        format!("{lost} lost").into_bytes()
    }

    /// All that is sent from now on.
    fn rest(queue: &mut Queue) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(next) = queue.next(notice) {
            let next = next.to_vec();
            queue.sent(next.len());
            all.push(String::from_utf8(next).unwrap());
        }
        assert_eq!(*queue, Queue::new());
        all
    }

    fn large(letter: u8) -> Vec<u8> {
        vec![letter; LIMIT / 4]
    }

    #[test]
    fn what_waits_is_sent_in_its_order() {
        let mut queue = Queue::new();
        for item in ["a", "", "b"] {
            queue.push(item.into());
        }
        assert_eq!(rest(&mut queue), ["a", "b"]);
    }

    #[test]
    fn the_oldest_is_dropped_and_said_to_be_before_the_rest() {
        let mut queue = Queue::new();
        for letter in b'a'..=b'f' {
            queue.push(large(letter));
        }
        let rest = rest(&mut queue);
        assert_eq!(rest.len(), 5);
        assert_eq!(rest[0], "2 lost");
        assert!(rest[1].starts_with('c') && rest[4].starts_with('f'));
    }

    #[test]
    fn what_was_begun_is_ended_before_anything_else_is_said() {
        let mut queue = Queue::new();
        queue.push(large(b'a'));
        queue.sent(1);
        for letter in b'b'..=b'f' {
            queue.push(large(letter));
        }
        let rest = rest(&mut queue);
        assert!(rest[0].starts_with('a'));
        assert_eq!(rest[0].len(), LIMIT / 4 - 1);
        assert_eq!(rest[1], "2 lost");
        assert!(rest[2].starts_with('d'));
    }

    #[test]
    fn a_notice_that_was_not_sent_counts_on() {
        let mut queue = Queue::new();
        for letter in b'a'..=b'e' {
            queue.push(large(letter));
        }
        assert_eq!(queue.next(notice), Some(&b"1 lost"[..]));
        queue.push(large(b'f'));
        assert_eq!(rest(&mut queue)[0], "2 lost");
    }

    #[test]
    fn one_item_may_be_larger_than_the_room() {
        let mut queue = Queue::new();
        queue.push("a".into());
        queue.push(vec![b'b'; 2 * LIMIT]);
        let rest = rest(&mut queue);
        assert_eq!(rest[0], "1 lost");
        assert_eq!(rest[1].len(), 2 * LIMIT);
    }

    #[test]
    fn what_is_outdated_is_taken_back_unless_it_was_begun() {
        let mut queue = Queue::new();
        for item in ["one", "two", "one"] {
            queue.push(item.into());
        }
        queue.sent(1);
        queue.remove(|item| item == b"one");
        assert_eq!(rest(&mut queue), ["ne", "two"]);
    }

    #[test]
    fn what_cannot_be_sent_is_discarded_even_if_begun() {
        let mut queue = Queue::new();
        queue.push("one".into());
        queue.push("two".into());
        queue.sent(1);
        queue.discard();
        assert_eq!(rest(&mut queue), ["two"]);
    }
}
