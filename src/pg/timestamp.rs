//! Points in time and lengths of it as SQL functions take them: `utils/timestamp.h`.

use std::ffi::CStr;
use std::time::Duration;

use pgrx::datum::Interval;
use pgrx::prelude::*;

/// In ISO 8601, with the offset of its time zone; `infinity` and `-infinity` as they are.
pub fn to_text(time: TimestampWithTimeZone) -> String {
    // SAFETY: the server prints it into a buffer of its own, which is copied.
    unsafe { CStr::from_ptr(pg_sys::timestamptz_to_str(time.into_inner())) }.to_string_lossy().into_owned()
}

/// A time to wait, at most three years; a month has 30 days.
pub fn patience(interval: &Interval) -> Duration {
    const LONGEST: u64 = 100_000_000;
    let microseconds = interval.as_micros().clamp(0, i128::from(LONGEST) * 1_000_000);
    Duration::from_micros(microseconds as u64)
}
