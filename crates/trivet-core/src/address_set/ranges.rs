//! Sorted ranges of numbers.

/// Ranges that neither touch nor overlap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges<T> {
    /// Apart from `lasts`, so that a search reads only these.
    firsts: Box<[T]>,
    lasts: Box<[T]>,
}

impl<T: Number> Ranges<T> {
    /// From ranges with both ends included, in any order.
    pub(super) fn new(mut ranges: Vec<(T, T)>) -> Self {
        ranges.sort_unstable();
        let mut firsts: Vec<T> = Vec::new();
        let mut lasts: Vec<T> = Vec::new();
        for (first, last) in ranges {
            match lasts.last_mut() {
                // The next number after the range before, or one within it.
                Some(end) if end.successor().is_none_or(|next| first <= next) => {
                    *end = (*end).max(last);
                }
                _ => {
                    firsts.push(first);
                    lasts.push(last);
                }
            }
        }
        Self {
            firsts: firsts.into_boxed_slice(),
            lasts: lasts.into_boxed_slice(),
        }
    }

    pub(super) fn contains(&self, number: T) -> bool {
        let behind = self.firsts.partition_point(|&first| first <= number);
        let last = behind.checked_sub(1).and_then(|at| self.lasts.get(at));
        last.is_some_and(|&last| number <= last)
    }

    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }
}

/// An address as a number.
pub(super) trait Number: Copy + Ord {
    /// The next one.
    fn successor(self) -> Option<Self>;
}

impl Number for u32 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl Number for u128 {
    fn successor(self) -> Option<Self> {
        self.checked_add(1)
    }
}
