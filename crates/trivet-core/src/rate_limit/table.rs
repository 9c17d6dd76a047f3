//! The theoretical arrival times of many keys, in a memory that never grows.

use super::{Rate, Verdict};

/// Keys that share a place by their hash: one is looked for among so many.
const WAYS: usize = 8;

/// A table of keys for one rate.
///
/// A key is a hash that nobody outside can foresee, and stands for itself: of two keys with the
/// same 64 bits each takes from the other's rate, which happens to one pair in millions of
/// millions. Where a bucket is full, the key whose time lies furthest back gives way: one that
/// has used nothing for long or very little. So a flood of new keys pushes out each other, and
/// not one that is being refused.
#[derive(Debug)]
pub struct Table {
    rate: Rate,
    /// Key and time; a time of 0 is an empty place.
    slots: Box<[[u64; 2]]>,
}

impl Table {
    /// With room for at least `capacity` keys; 16 bytes each.
    pub fn new(rate: Rate, capacity: usize) -> Self {
        let buckets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        Self {
            rate,
            // Zeroed memory costs nothing until it is written to.
            slots: vec![[0; 2]; buckets * WAYS].into_boxed_slice(),
        }
    }

    /// Judge a request of `key` at `now_ns`, which is not 0 and never less than before.
    pub fn judge(&mut self, key: u64, now_ns: u64) -> Verdict {
        let rate = self.rate;
        let bucket = self.bucket(key);
        let known = bucket
            .iter()
            .position(|&[held, tat_ns]| held == key && tat_ns != 0);
        let slot = match known {
            Some(at) => bucket.get_mut(at),
            None => bucket.iter_mut().min_by_key(|slot| slot[1]),
        };
        let (verdict, next_ns) = match (&slot, known) {
            (Some(slot), Some(_)) => rate.judge(slot[1], now_ns),
            _ => rate.judge(0, now_ns),
        };
        if let Some(slot) = slot {
            *slot = [key, next_ns];
        }
        verdict
    }

    /// Places for keys.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Keys whose rate is not wholly free at `now_ns`.
    pub fn busy(&self, now_ns: u64) -> usize {
        let busy = self.slots.iter().filter(|slot| slot[1] > now_ns);
        busy.count()
    }

    fn bucket(&mut self, key: u64) -> &mut [[u64; 2]] {
        let buckets = self.slots.len() / WAYS;
        // The upper half: shards are told apart by the lower one.
        let at = (key >> 32) as usize & (buckets - 1);
        self.slots
            .get_mut(at * WAYS..(at + 1) * WAYS)
            .unwrap_or_default()
    }
}
