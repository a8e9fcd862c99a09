//! What the server's structures look like, major by major, and where a minor release changed them.
//!
//! Each row is one fact: our name for it, the name it has in `tests/data/abi.json`, and its value in every
//! supported version. Offsets and sizes are in bytes; a dash is written [`NONE`]: that version has no such
//! thing. Unit tests hold every row against `abi.json`, and another test against the headers of every
//! server whose development files are found on the machine.
//!
//! Facts that are the same in all versions are the constants at the end.

/// There is no such field in that version.
pub const NONE: i16 = -1;

/// `server_version_num / 100`, one for each column of the table; the magic block has the same number.
pub const MAJORS: [u32; 12] = [904, 905, 906, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1700, 1800];

/// For messages to people.
pub const SUPPORTED: &str = "9.4, 9.5, 9.6 and 10 to 18";

macro_rules! table {
    ($($(#[$doc:meta])* $field:ident = $fact:literal: [$($value:expr),*];)*) => {
        /// One column of the table.
        #[derive(Debug, Clone, Copy)]
        pub struct Layout {
            /// As in [`MAJORS`].
            pub major: u32,
            $($(#[$doc])* pub $field: i16,)*
        }

        static LAYOUTS: [Layout; MAJORS.len()] = {
            $(#[allow(non_upper_case_globals)] const $field: [i16; MAJORS.len()] = [$($value),*];)*
            let mut layouts = [Layout { major: 0, $($field: 0,)* }; MAJORS.len()];
            let mut i = 0;
            while i < MAJORS.len() {
                layouts[i] = Layout { major: MAJORS[i], $($field: $field[i],)* };
                i += 1;
            }
            layouts
        };

        #[cfg(test)]
        impl Layout {
            /// (name of the fact, its value)
            fn facts(&self) -> Vec<(&'static str, i16)> {
                vec![$(($fact, self.$field),)*]
            }
        }
    };
}

table! {
    //                                                               9.4  9.5  9.6   10   11   12   13   14   15   16   17   18
    magic_size = "sizeof(Pg_magic_struct)":                        [  28,  28,  28,  28,  28,  28,  24,  24,  56,  56,  56,  72];

    callbacks_size = "sizeof(OutputPluginCallbacks)":              [  40,  48,  56,  56,  64,  64,  64, 168, 168, 168, 168, 168];
    callbacks_commit = "OutputPluginCallbacks.commit_cb":          [  24,  24,  24,  24,  32,  32,  32,  32,  32,  32,  32,  32];

    context_out = "LogicalDecodingContext.out":                    [ 112, 120, 128, 136, 152, 152, 152, 256, 256, 256, 256, 256];
    context_options = "LogicalDecodingContext.output_plugin_options":
                                                                   [  88,  96, 104, 104, 120, 120, 120, 224, 224, 224, 224, 224];
    context_private = "LogicalDecodingContext.output_plugin_private":
                                                                   [ 120, 128, 136, 144, 160, 160, 160, 264, 264, 264, 264, 264];

    txn_xid = "ReorderBufferTXN.xid":                              [   0,   0,   0,   0,   0,   0,   4,   4,   4,   4,   4,   4];
    txn_final_lsn = "ReorderBufferTXN.final_lsn":                  [  24,  24,  24,  24,  24,  24,  24,  32,  32,  32,  32,  32];
    txn_end_lsn = "ReorderBufferTXN.end_lsn":                      [  32,  32,  32,  32,  32,  32,  32,  40,  40,  40,  40,  40];
    txn_commit_time = "ReorderBufferTXN.commit_time":              [  48,  64,  64,  64,  64,  64,  64,  80,  80,  80,  80,  80];

    change_old = "ReorderBufferChange.data.tp.oldtuple":           [  32,  32,  32,  32,  32,  32,  48,  48,  48,  48,  48,  48];
    change_new = "ReorderBufferChange.data.tp.newtuple":           [  40,  40,  40,  40,  40,  40,  56,  56,  56,  56,  56,  56];
    /// The tuple inside what the change points to; from 17 on it points to the tuple itself.
    tuplebuf_tuple = "ReorderBufferTupleBuf.tuple":                [   8,   8,   8,   8,   8,   8,   8,   8,   8,   8,NONE,NONE];

    relation_rel = "RelationData.rd_rel":                          [  48,  48,  48,  48,  48,  48,  56,  56,  56,  56,  56,  56];
    relation_att = "RelationData.rd_att":                          [  56,  56,  56,  56,  56,  56,  64,  64,  64,  64,  64,  64];
    relation_id = "RelationData.rd_id":                            [  64,  64,  64,  64,  64,  64,  72,  72,  72,  72,  72,  72];
    relation_index = "RelationData.rd_index":                      [ 152, 160, 176, 248, 264, 272, 280, 304, 304, 320, 328, 328];
    relation_replidindex = "RelationData.rd_replidindex":          [ 116, 124, 140, 184, 184, 196, 204, 228, 228, 228, 232, 232];

    class_relname = "FormData_pg_class.relname":                   [   0,   0,   0,   0,   0,   4,   4,   4,   4,   4,   4,   4];
    class_relnamespace = "FormData_pg_class.relnamespace":         [  64,  64,  64,  64,  64,  68,  68,  68,  68,  68,  68,  68];

    /// Up to 10 an array of pointers, from 11 on the attributes themselves.
    tupdesc_attrs = "TupleDesc.attrs":                             [   8,   8,   8,   8,  32,  24,  24,  24,  24,  24,  24,NONE];
    /// 18 keeps an array of these first and the attributes after it.
    tupdesc_compact_attrs = "TupleDesc.compact_attrs":             [NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,  24];
    compact_attribute_size = "sizeof(CompactAttribute)":           [NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,NONE,  16];
    attribute_size = "sizeof(FormData_pg_attribute)":              [ 108, 108, 108, 108, 112, 112, 112, 112, 112, 108, 104, 100];
    attribute_attlen = "FormData_pg_attribute.attlen":             [  76,  76,  76,  76,  76,  76,  76,  76,  76,  72,  72,  72];
    attribute_attisdropped = "FormData_pg_attribute.attisdropped": [  97,  97,  97,  98,  99, 100, 100, 101, 101,  95,  95,  91];

    index_indkey = "FormData_pg_index.indkey":                     [  20,  20,  20,  20,  24,  24,  24,  24,  24,  24,  24,  24];
    /// Columns of the key without those of INCLUDE, which exist from 11 on.
    index_keys = "FormData_pg_index.indnkeyatts":                  [   8,   8,   8,   8,  10,  10,  10,  10,  10,  10,  10,  10];

    /// Up to 12 a list is linked cells, from 13 on an array.
    list_head = "List.head":                                       [   8,   8,   8,   8,   8,   8,NONE,NONE,NONE,NONE,NONE,NONE];
    list_elements = "List.elements":                               [NONE,NONE,NONE,NONE,NONE,NONE,  16,  16,  16,  16,  16,  16];
    node_string = "T_String":                                      [ 653, 653, 653, 214, 219, 220, 223, 228, 229, 444, 463, 468];

    /// Numbers of the caches that a type's printed name depends on.
    cache_typeoid = "TYPEOID":                                     [  59,  63,  63,  74,  74,  75,  75,  76,  80,  80,  80,  82];
    cache_namespaceoid = "NAMESPACEOID":                           [  36,  36,  36,  36,  36,  36,  36,  36,  36,  36,  36,  38];
    cache_authoid = "AUTHOID":                                     [  11,  11,  11,  11,  11,  11,  11,  11,  11,  11,  11,  11];

    pgc_userset = "PGC_USERSET":                                   [   5,   6,   6,   6,   6,   6,   6,   6,   6,   6,   6,   6];
    error = "ERROR":                                               [  20,  20,  20,  20,  20,  20,  20,  21,  21,  21,  21,  21];
}

/// The releases of August 2018 put a field (`toplevel_xid`) into the middle of a transaction; the table has what
/// they and later ones have. Before them the fields behind it lie 8 bytes nearer to the start.
const MOVED_IN: [u32; 4] = [90_419, 90_514, 90_610, 100_005];

static BEFORE_THE_MOVE: [Layout; MOVED_IN.len()] = {
    // The first majors of the table, in its order.
    let mut layouts = [LAYOUTS[0]; MOVED_IN.len()];
    let mut i = 0;
    while i < MOVED_IN.len() {
        let later = LAYOUTS[i];
        assert!(later.major == major(MOVED_IN[i]));
        layouts[i] = Layout {
            txn_final_lsn: later.txn_final_lsn - 8,
            txn_end_lsn: later.txn_end_lsn - 8,
            txn_commit_time: later.txn_commit_time - 8,
            ..later
        };
        i += 1;
    }
    layouts
};

impl Layout {
    /// The layout for a `server_version_num`, if that major is in the table.
    pub fn of(version_num: u32) -> Option<&'static Layout> {
        let major = major(version_num);
        let place = LAYOUTS.iter().position(|layout| layout.major == major)?;
        match MOVED_IN.get(place) {
            Some(moved) if version_num < *moved => BEFORE_THE_MOVE.get(place),
            _ => LAYOUTS.get(place),
        }
    }
}

/// 904 for 9.4.26, 1500 for 15.20: as in [`MAJORS`].
pub const fn major(version_num: u32) -> u32 {
    version_num / 100
}

// --- the same in every version ---------------------------------------------------------

pub const CALLBACKS_STARTUP: usize = 0;
pub const CALLBACKS_BEGIN: usize = 8;
pub const CALLBACKS_CHANGE: usize = 16;
pub const OPTIONS_OUTPUT_TYPE: usize = 0;
pub const OUTPUT_PLUGIN_BINARY_OUTPUT: i32 = 0;
pub const CONTEXT_CONTEXT: usize = 0;
pub const CHANGE_ACTION: usize = 8;
pub const CHANGE_INSERT: i32 = 0;
pub const CHANGE_UPDATE: i32 = 1;
pub const CHANGE_DELETE: i32 = 2;
pub const TUPDESC_NATTS: usize = 0;
pub const ATTRIBUTE_ATTNAME: usize = 4;
pub const ATTRIBUTE_ATTTYPID: usize = 68;
pub const INT2VECTOR_VALUES: usize = 24;
pub const DEFELEM_DEFNAME: usize = 16;
pub const DEFELEM_ARG: usize = 24;
/// `Value.val.str` up to 14, `String.sval` from 15 on.
pub const STRING_VALUE: usize = 8;
pub const LIST_LENGTH: usize = 4;
pub const LISTCELL_NEXT: usize = 8;
pub const STRINGINFO_DATA: usize = 0;
pub const STRINGINFO_LEN: usize = 8;
pub const STRINGINFO_MAXLEN: usize = 12;
pub const MAX_ATTRIBUTES: usize = 1664;
pub const PGC_S_SESSION: i32 = 13;
pub const GUC_ACTION_SAVE: i32 = 2;
pub const FUNC_MAX_ARGS: i32 = 100;
pub const INDEX_MAX_KEYS: i32 = 32;
pub const NAMEDATALEN: i32 = 64;

#[cfg(test)]
#[allow(clippy::expect_used)]
#[path = "../tests/support/facts.rs"]
mod facts;

#[cfg(test)]
mod tests;
