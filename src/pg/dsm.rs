//! A dynamic shared memory segment that holds one value, and a condition that processes can sleep on.
//!
//! Segments need no `shared_preload_libraries`, so progress is shown the same way with and without.

use std::cell::UnsafeCell;
use std::ops::Deref;
use std::time::Duration;

use pgrx::pg_sys;

use crate::pg::xact;

/// # Safety
/// Implement it only for types that are valid when all bytes are zero and that may be shared between processes:
/// atomics, arrays and structs of them, and [`Condition`].
pub unsafe trait Shared: Sync + Sized {
    /// Called once, by the creator, on zeroed memory.
    fn initialize(&self);
}

/// Declares that a type fulfils the contract of [`Shared`], with what initializes it.
macro_rules! share {
    ($type:ty, $initialize:expr) => {
        // SAFETY: whoever writes this line says so; see the contract.
        #[allow(unsafe_code)]
        unsafe impl $crate::pg::dsm::Shared for $type {
            fn initialize(&self) {
                let initialize: fn(&$type) = $initialize;
                initialize(self);
            }
        }
    };
}
pub(crate) use share;

/// A mapped segment. It stays mapped until the process ends or, for a reader, until the guard goes out of scope.
pub struct Segment<T: Shared> {
    segment: *mut pg_sys::dsm_segment,
    value: *const T,
    detach: bool,
}

impl<T: Shared> Segment<T> {
    /// Makes a segment that lives as long as a process has it mapped; returns it with its handle.
    pub fn create() -> (Segment<T>, u32) {
        // SAFETY: inside a transaction (for the resource owner); the mapping is pinned to the process; the memory is
        // zeroed before the value is looked at, and page alignment satisfies T.
        unsafe {
            let segment = pg_sys::dsm_create(size_of::<T>(), 0);
            pg_sys::dsm_pin_mapping(segment);
            let value = pg_sys::dsm_segment_address(segment).cast::<T>();
            std::ptr::write_bytes(value, 0, 1);
            let handle = pg_sys::dsm_segment_handle(segment);
            let segment = Segment { segment, value: value.cast_const(), detach: false };
            segment.initialize();
            (segment, handle)
        }
    }

    /// Maps a segment for the life of this process.
    pub fn attach(handle: u32) -> Option<Segment<T>> {
        let mut segment = Self::map(handle)?;
        // SAFETY: a live mapping.
        unsafe { pg_sys::dsm_pin_mapping(segment.segment) };
        segment.detach = false;
        Some(segment)
    }

    /// Maps a segment for a look at it, in a backend. `None` when it is gone.
    pub fn peek(handle: u32) -> Option<Segment<T>> {
        Self::map(handle)
    }

    fn map(handle: u32) -> Option<Segment<T>> {
        if handle == 0 {
            return None;
        }
        // SAFETY: attaching to an unknown handle returns null; a segment of another size is refused below.
        unsafe {
            let known = pg_sys::dsm_find_mapping(handle);
            let segment = if known.is_null() { pg_sys::dsm_attach(handle) } else { known };
            if segment.is_null() {
                return None;
            }
            let detach = known.is_null();
            if pg_sys::dsm_segment_map_length(segment) < size_of::<T>() {
                if detach {
                    pg_sys::dsm_detach(segment);
                }
                return None;
            }
            Some(Segment { segment, value: pg_sys::dsm_segment_address(segment).cast::<T>().cast_const(), detach })
        }
    }
}

impl<T: Shared> Deref for Segment<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the mapping lives as long as the guard; T's contract allows shared access.
        unsafe { &*self.value }
    }
}

impl<T: Shared> Drop for Segment<T> {
    fn drop(&mut self) {
        // While an error unwinds the server releases the mapping itself.
        if self.detach && !std::thread::panicking() {
            // SAFETY: mapped by `peek`, not used after this.
            unsafe { pg_sys::dsm_detach(self.segment) }
        }
    }
}

/// A condition variable in shared memory.
#[repr(C)]
pub struct Condition(UnsafeCell<pg_sys::ConditionVariable>);

// SAFETY: the server's condition variable has a spinlock of its own.
unsafe impl Sync for Condition {}

impl Condition {
    pub fn initialize(&self) {
        // SAFETY: memory of a new segment that nobody else knows yet.
        unsafe { pg_sys::ConditionVariableInit(self.0.get()) }
    }

    pub fn broadcast(&self) {
        // SAFETY: initialized at creation.
        unsafe { pg_sys::ConditionVariableBroadcast(self.0.get()) }
    }

    /// Sleeps until `ready` says yes, or until `timeout` is over (then false). `ready` is asked again after every
    /// broadcast, and at least every `patience`, for what nobody broadcasts: that the broadcaster died.
    pub fn wait_until(&self, timeout: Duration, patience: Duration, mut ready: impl FnMut() -> bool) -> bool {
        let deadline = std::time::Instant::now() + timeout;
        // SAFETY: initialized at creation; prepare and cancel are paired (an error path cancels by itself).
        unsafe {
            pg_sys::ConditionVariablePrepareToSleep(self.0.get());
            let outcome = loop {
                if ready() {
                    break true;
                }
                let left = deadline.saturating_duration_since(std::time::Instant::now()).min(patience);
                if std::time::Instant::now() >= deadline {
                    break false;
                }
                let milliseconds = left.as_millis().max(1) as i64;
                pg_sys::ConditionVariableTimedSleep(self.0.get(), milliseconds, pg_sys::PG_WAIT_EXTENSION);
                xact::check_for_interrupts();
            };
            pg_sys::ConditionVariableCancelSleep();
            outcome
        }
    }
}
