use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
/// Long after the start of any clock.
const NOW: u64 = 1_000 * SECOND_NS;

fn granted(remaining: u32) -> Verdict {
    Verdict::Granted { remaining }
}

fn refused(wait_ms: u64) -> Verdict {
    Verdict::Refused {
        wait_ns: wait_ms * MS,
    }
}

#[test]
fn a_burst_passes_and_then_the_rate_does() {
    let mut table = Table::new(Rate::new(10, 1, 3), 1);
    let steps = [
        (0, granted(2)),
        (0, granted(1)),
        (0, granted(0)),
        (0, refused(100)),
        (99, refused(1)),
        (100, granted(0)),
        (150, refused(50)),
        (200, granted(0)),
        (400, granted(1)),
        (5000, granted(2)),
    ];
    for (at_ms, verdict) in steps {
        assert_eq!(table.judge(7, NOW + at_ms * MS), verdict, "{at_ms}");
    }
}

#[test]
fn slow_and_fast_rates_are_exact() {
    let hourly = Rate::new(2, 3600, 1);
    let (verdict, tat_ns) = hourly.judge(0, NOW);
    assert_eq!(verdict, granted(0));
    assert_eq!(tat_ns, NOW + 1800 * SECOND_NS);
    assert_eq!(hourly.judge(tat_ns, NOW).0, refused(1_800_000));
    let fast = Rate::new(u32::MAX, 1, u32::MAX);
    assert_eq!(fast.judge(0, NOW).0, granted(u32::MAX - 1));
    let slow = Rate::new(1, u32::MAX, u32::MAX);
    assert!(matches!(slow.judge(0, NOW).0, Verdict::Granted { .. }));
}

#[test]
fn keys_do_not_know_each_other() {
    let mut table = Table::new(Rate::new(1, 1, 1), 64);
    for key in 0..20 {
        assert_eq!(table.judge(key << 32 | 5, NOW), granted(0), "{key}");
    }
    for key in 0..20 {
        assert_eq!(table.judge(key << 32 | 5, NOW), refused(1000), "{key}");
    }
}

#[test]
fn a_flood_of_keys_does_not_free_one_that_is_refused() {
    let mut table = Table::new(Rate::new(10, 1, 10), 64);
    while table.judge(1, NOW) != refused(100) {}
    // All in the same bucket, each of them once.
    for key in 2..1000 {
        assert_eq!(table.judge(key, NOW), granted(9));
    }
    assert_eq!(table.judge(1, NOW), refused(100));
}

#[test]
fn the_fields_have_the_form_of_the_draft() {
    let rate = Rate::new(100, 60, 50);
    assert_eq!(rate.policy_field(), "\"route\";q=100;w=60");
    assert_eq!(Rate::refused_field(2), "\"route\";r=0;t=2");
    assert_eq!(retry_after_s(1_500 * MS), 2);
    assert_eq!(retry_after_s(0), 1);
    assert_eq!(retry_after_s(3 * SECOND_NS), 3);
}

proptest! {
    /// In any time, a key gets its burst and what the rate gives in that time, and no more;
    /// and one that waits as long as it is told is granted.
    #[test]
    fn nobody_gets_more_than_burst_and_rate(
        requests in 1_u32..50,
        per_s in 1_u32..100,
        burst in 1_u32..20,
        pauses_ms in prop::collection::vec(0_u64..3000, 1..200),
    ) {
        let rate = Rate::new(requests, per_s, burst);
        let (mut tat_ns, mut now_ns) = (0, NOW);
        let mut times = Vec::new();
        for pause_ms in pauses_ms {
            now_ns += pause_ms * MS;
            let (verdict, next_ns) = rate.judge(tat_ns, now_ns);
            match verdict {
                Verdict::Granted { remaining } => {
                    prop_assert!(remaining < burst);
                    times.push(now_ns);
                }
                Verdict::Refused { wait_ns } => {
                    prop_assert_eq!(next_ns, tat_ns);
                    let is_granted = |at_ns| {
                        let (verdict, _) = rate.judge(tat_ns, at_ns);
                        matches!(verdict, Verdict::Granted { .. })
                    };
                    prop_assert!(is_granted(now_ns + wait_ns));
                    prop_assert!(!is_granted(now_ns + wait_ns - 1));
                }
            }
            tat_ns = next_ns;
        }
        for (at, from) in times.iter().enumerate() {
            for (count, to) in times.iter().enumerate().skip(at) {
                let earned = u128::from(to - from) * u128::from(requests);
                let earned = earned / (u128::from(per_s) * u128::from(SECOND_NS)) + 1;
                prop_assert!((count - at + 1) as u128 <= u128::from(burst) + earned);
            }
        }
    }

    /// However many keys come, the table stays as it was made.
    #[test]
    fn memory_is_bounded(capacity in 0_usize..300, keys in prop::collection::vec(any::<u64>(), 0..2000)) {
        let mut table = Table::new(Rate::new(1, 1, 5), capacity);
        let places = table.capacity();
        prop_assert!(places >= capacity && places <= capacity.max(8) * 2);
        for (at, &key) in keys.iter().enumerate() {
            table.judge(key, NOW + at as u64);
        }
        prop_assert_eq!(table.capacity(), places);
        prop_assert!(table.busy(NOW) <= keys.len().min(places));
    }

    /// A table says of one key what the rate does.
    #[test]
    fn a_table_is_the_rate_for_each_key(steps in prop::collection::vec((0_usize..4, 0_u64..500), 0..100)) {
        let rate = Rate::new(5, 2, 3);
        let mut table = Table::new(rate, 64);
        let mut times = [0_u64; 4];
        let mut now_ns = NOW;
        for (key, pause_ms) in steps {
            now_ns += pause_ms * MS;
            let (verdict, next_ns) = rate.judge(times[key], now_ns);
            times[key] = next_ns;
            prop_assert_eq!(table.judge((key as u64) << 40, now_ns), verdict);
        }
    }
}
