//! Comments and privileges.

use super::*;

#[test]
fn comments_and_privileges() {
    let comment = |image: &mut Image| drop(image.comments.insert((Class::Relation, 10, 2), "it's".into()));
    assert_said(comment, &["COMMENT ON COLUMN s.t.note IS 'it''s'"]);
    let mut before = image();
    comment(&mut before);
    assert_eq!(statements(&before, &image()), ["COMMENT ON COLUMN s.t.note IS NULL"]);
    let grant = |image: &mut Image| {
        let grant =
            Grant { place: 1, grantee: Some("Reader".into()), privileges: vec!["SELECT".into()], with_option: false };
        let privileges = Privileges { grants: vec![grant], public_revoked: false };
        image.privileges.insert((Class::Relation, 10, 0), privileges);
    };
    assert_said(grant, &["GRANT SELECT ON TABLE s.t TO \"Reader\""]);
    let mut before = image();
    grant(&mut before);
    assert_eq!(statements(&before, &image()), ["REVOKE SELECT ON TABLE s.t FROM \"Reader\""]);
}

/// Everybody may use a type again.
#[test]
fn what_everybody_lost_is_given_back() {
    let revoked = |image: &mut Image| {
        let privileges = Privileges { grants: Vec::new(), public_revoked: true };
        image.privileges.insert((Class::Type, 30, 0), privileges);
    };
    assert_both_ways(revoked, &["REVOKE ALL ON DOMAIN s.d FROM PUBLIC"], &["GRANT USAGE ON DOMAIN s.d TO PUBLIC"]);
}
