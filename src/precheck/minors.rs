//! Minor versions of the source with known faults of logical decoding; pure.

/// The first minor of each major with all known fixes. See item `minor_version` for the faults.
const FIXED_SINCE: [(i32, i32); 4] = [(14, 19), (15, 14), (16, 10), (17, 6)];

/// What is wrong with the source's version, if anything.
pub fn fault(version: i32) -> Option<String> {
    let (major, minor) = (version / 10_000, version % 10_000);
    if major == 13 {
        return Some("PostgreSQL 13 gets no fixes any more; upgrade to a supported major version.".to_owned());
    }
    let (_, fixed) = FIXED_SINCE.iter().find(|(m, _)| *m == major)?;
    (minor < *fixed).then(|| {
        format!(
            "PostgreSQL {major}.{minor} can lose or garble changes of transactions that run while a definition changes; \
             fixed in {major}.{fixed}: install the latest minor release and restart."
        )
    })
}

/// Was the extension written for this version?
pub fn is_supported(version: i32) -> bool {
    (13..=18).contains(&(version / 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_minors_are_named_with_the_release_that_helps() {
        assert!(fault(150_013).is_some_and(|text| text.contains("15.14")));
        assert_eq!(fault(150_014), None);
        assert_eq!(fault(180_000), None);
        assert!(fault(170_005).is_some());
        assert!(fault(130_023).is_some());
    }

    #[test]
    fn majors_from_13_to_18() {
        assert!(is_supported(130_000) && is_supported(180_006));
        assert!(!is_supported(120_009) && !is_supported(190_000));
    }
}
