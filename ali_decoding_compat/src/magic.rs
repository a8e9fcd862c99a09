//! The magic block: what a library says it was built for. The server refuses one that differs from its own.
//!
//! We were built for none, so we answer what the server that asks wants to hear. For a server later than
//! the table that is the latest shape with its own version: it then loads us, and hears at slot creation
//! that it is not supported.

use core::cell::UnsafeCell;
use core::ffi::{c_char, c_int};

use crate::guard::guarded;
use crate::layout::{FUNC_MAX_ARGS, INDEX_MAX_KEYS, Layout, NAMEDATALEN, major};
use crate::server::settings::server_version_num;

/// Bytes of the largest shape.
const LARGEST: usize = 72;

/// Where a community server's block has its own name, from 15 on.
const ABI_EXTRA: &[u8; 11] = b"PostgreSQL\0";

#[repr(C, align(8))]
struct Magic(UnsafeCell<[u8; LARGEST]>);

// SAFETY: written by `Pg_magic_func` only, which a single-threaded server calls.
unsafe impl Sync for Magic {}

static MAGIC: Magic = Magic(UnsafeCell::new([0; LARGEST]));

/// Called by the server right after it has loaded the library.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn Pg_magic_func() -> *const u8 {
    guarded(|| {
        let block = magic_block(server_version_num());
        // SAFETY: the server reads the block later, in the same thread.
        unsafe { MAGIC.0.get().write(block) };
        MAGIC.0.get().cast()
    })
}

/// The shapes, by size: `len, version, funcmaxargs, indexmaxkeys, namedatalen` and then
///
/// ```text
///   28  float4byval, float8byval                                          up to 12
///   24  float8byval                                                       13, 14
///   56  float8byval, 32 bytes abi_extra                                   15 to 17
///   72  float8byval, 32 bytes abi_extra, two addresses: name, version     18
/// ```
fn magic_block(version_num: u32) -> [u8; LARGEST] {
    let size = Layout::of(version_num).map_or(LARGEST, |layout| layout.magic_size as usize);
    let numbers: [c_int; 7] = [
        size as c_int,
        major(version_num) as c_int,
        FUNC_MAX_ARGS,
        INDEX_MAX_KEYS,
        NAMEDATALEN,
        // float8byval, or float4byval and float8byval: true wherever a pointer has 64 bits.
        1,
        if size == 28 { 1 } else { 0 },
    ];
    let mut block = [0; LARGEST];
    for (place, number) in block.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *place = number.to_ne_bytes();
    }
    if size >= 56 {
        block[24..24 + ABI_EXTRA.len()].copy_from_slice(ABI_EXTRA);
    }
    if size >= 72 {
        let names: [*const c_char; 2] = [c"ali_decoding".as_ptr(), c"0.0.1".as_ptr()];
        block[56..64].copy_from_slice(&names[0].addr().to_ne_bytes());
        block[64..72].copy_from_slice(&names[1].addr().to_ne_bytes());
    }
    block
}
