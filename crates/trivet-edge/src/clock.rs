//! The only place that asks the system for the time.

use rustix::time::{ClockId, clock_gettime};

/// µs of `CLOCK_MONOTONIC`, the clock that edge and workers share.
#[inline]
pub fn now_us() -> u64 {
    micros(ClockId::Monotonic)
}

/// The same to within a tick of the kernel, which is [`TICK_US`] at the most: late, never early.
///
/// A fifth of the cost, for deadlines of seconds.
pub fn coarse_now_us() -> u64 {
    micros(ClockId::MonotonicCoarse) + TICK_US
}

/// The longest tick of a kernel, µs: that of 100 Hz.
const TICK_US: u64 = 10_000;

/// µs since 1970-01-01 UTC.
pub fn unix_us() -> u64 {
    micros(ClockId::Realtime)
}

/// The same as of the kernel's last tick: for times of which seconds or milliseconds are shown.
pub fn coarse_unix_us() -> u64 {
    micros(ClockId::RealtimeCoarse)
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0) / 1000
}

/// CPU time that process `pid` has used, µs; `None` where it is gone.
///
/// Needs no privilege, and nothing of the process: its interpreter lock may be
/// held for ever. `pthread_getcpuclockid(3)` builds its clock numbers so.
#[allow(unsafe_code, reason = "rustix has no clocks of other processes")]
pub fn process_cpu_us(pid: u32) -> Option<u64> {
    const CPUCLOCK_SCHED: libc::clockid_t = 2;
    let pid = libc::clockid_t::try_from(pid).ok()?;
    let clock = (!pid).checked_mul(8)? | CPUCLOCK_SCHED;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec; an unknown clock is an error return.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if result != 0 {
        return None;
    }
    Some(u64::try_from(time.tv_sec).ok()? * 1_000_000 + u64::try_from(time.tv_nsec).ok()? / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu_time() {
        assert!(process_cpu_us(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn a_process_that_does_not_exist_has_none() {
        // The kernel's largest process id is 4194304.
        assert_eq!(process_cpu_us(4_194_305), None);
    }
}
