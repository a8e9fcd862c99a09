//! Every fact of the table, held against the files.

use std::collections::BTreeMap;

use super::facts;
use super::*;

fn name(major: u32) -> String {
    facts::name(major * 100)
}

/// What the files say where the versions disagree about a fact's name.
fn lookup(of_version: &BTreeMap<String, i64>, fact: &str) -> Option<i64> {
    let other = match fact {
        "ReorderBufferTXN.commit_time" => "ReorderBufferTXN.xact_time.commit_time",
        // Before INCLUDE, all columns of an index belonged to its key.
        "FormData_pg_index.indnkeyatts" => "FormData_pg_index.indnatts",
        _ => "",
    };
    of_version.get(fact).or_else(|| of_version.get(other)).copied()
}

#[test]
fn every_entry_is_a_fact() {
    let facts = facts::read();
    let mut checked = 0;
    for layout in &LAYOUTS {
        let version = name(layout.major);
        for (fact, value) in layout.facts() {
            let expected = lookup(&facts[&version], fact);
            assert_eq!((value != NONE).then_some(i64::from(value)), expected, "{fact} of {version}");
            checked += 1;
        }
    }
    assert_eq!(checked, LAYOUTS.len() * LAYOUTS[0].facts().len());
}

#[test]
fn the_table_has_every_version_of_the_files() {
    let mut ours: Vec<String> = MAJORS.iter().map(|major| name(*major)).collect();
    ours.sort();
    assert_eq!(ours, facts::read().into_keys().collect::<Vec<_>>());
}

/// Offsets differ between minors of 9.4 to 10: the LSNs and times of BEGIN and COMMIT would be wrong without a word.
#[test]
fn minors_that_differ_have_layouts_of_their_own() {
    let minors = facts::minors();
    for (version_num, facts) in &minors {
        let layout = Layout::of(*version_num).expect("a supported version");
        assert_eq!(layout.major, major(*version_num));
        for (fact, value) in layout.facts() {
            assert_eq!((value != NONE).then_some(i64::from(value)), lookup(facts, fact), "{fact} of {version_num}");
        }
    }
    let lsn_of = |version_num: u32| Layout::of(version_num).map(|layout| layout.txn_final_lsn);
    assert_eq!([90_418, 90_419, 100_000, 100_004, 100_005].map(lsn_of), [16, 24, 16, 16, 24].map(Some));
}

#[test]
fn constants_hold_in_every_version() {
    let constants: [(&str, i64); 28] = [
        ("OutputPluginCallbacks.startup_cb", CALLBACKS_STARTUP as i64),
        ("OutputPluginCallbacks.begin_cb", CALLBACKS_BEGIN as i64),
        ("OutputPluginCallbacks.change_cb", CALLBACKS_CHANGE as i64),
        ("OutputPluginOptions.output_type", OPTIONS_OUTPUT_TYPE as i64),
        ("OUTPUT_PLUGIN_BINARY_OUTPUT", OUTPUT_PLUGIN_BINARY_OUTPUT.into()),
        ("LogicalDecodingContext.context", CONTEXT_CONTEXT as i64),
        ("ReorderBufferChange.action", CHANGE_ACTION as i64),
        ("REORDER_BUFFER_CHANGE_INSERT", CHANGE_INSERT.into()),
        ("REORDER_BUFFER_CHANGE_UPDATE", CHANGE_UPDATE.into()),
        ("REORDER_BUFFER_CHANGE_DELETE", CHANGE_DELETE.into()),
        ("TupleDesc.natts", TUPDESC_NATTS as i64),
        ("FormData_pg_attribute.attname", ATTRIBUTE_ATTNAME as i64),
        ("FormData_pg_attribute.atttypid", ATTRIBUTE_ATTTYPID as i64),
        ("int2vector.values", INT2VECTOR_VALUES as i64),
        ("DefElem.defname", DEFELEM_DEFNAME as i64),
        ("DefElem.arg", DEFELEM_ARG as i64),
        ("Value.val.str", STRING_VALUE as i64),
        ("String.sval", STRING_VALUE as i64),
        ("List.length", LIST_LENGTH as i64),
        ("ListCell.next", LISTCELL_NEXT as i64),
        ("StringInfoData.data", STRINGINFO_DATA as i64),
        ("StringInfoData.len", STRINGINFO_LEN as i64),
        ("StringInfoData.maxlen", STRINGINFO_MAXLEN as i64),
        ("MaxTupleAttributeNumber", MAX_ATTRIBUTES as i64),
        ("PGC_S_SESSION", PGC_S_SESSION.into()),
        ("GUC_ACTION_SAVE", GUC_ACTION_SAVE.into()),
        ("FUNC_MAX_ARGS", FUNC_MAX_ARGS.into()),
        ("INDEX_MAX_KEYS", INDEX_MAX_KEYS.into()),
    ];
    for (version, facts) in facts::read() {
        for (name, value) in constants {
            // A name that a version lacks is never used there.
            let expected = facts.get(name).copied().unwrap_or(value);
            assert_eq!(value, expected, "{name} of {version}");
        }
        assert_eq!(i64::from(NAMEDATALEN), facts["NAMEDATALEN"], "{version}");
    }
}

#[test]
fn a_version_number_finds_its_layout() {
    for (version_num, expected) in
        [(90_400, Some(904)), (90_624, Some(906)), (100_019, Some(1000)), (180_006, Some(1800))]
    {
        assert_eq!(Layout::of(version_num).map(|layout| layout.major), expected);
    }
    for unknown in [0, 90_325, 90_700, 190_000, 990_001] {
        assert!(Layout::of(unknown).is_none(), "{unknown}");
    }
}
