//! Which connection options exist, asked from libpq itself, so that a newer libpq's options work at once.

use super::connection::text;

/// Is this a libpq keyword, and does it hold something secret (libpq marks those with `*`)?
pub fn known_option(keyword: &str) -> Option<OptionKind> {
    // SAFETY: PQconndefaults returns null or an array that ends with a null keyword; it is freed below.
    unsafe {
        let options = pq_sys::PQconndefaults();
        if options.is_null() {
            return None;
        }
        let mut found = None;
        let mut option = options;
        while !(*option).keyword.is_null() {
            if text((*option).keyword) == keyword {
                let display = if (*option).dispchar.is_null() { String::new() } else { text((*option).dispchar) };
                found = Some(if display.starts_with('D') {
                    OptionKind::Debug
                } else if display.starts_with('*') {
                    OptionKind::Secret
                } else {
                    OptionKind::Plain
                });
                break;
            }
            option = option.add(1);
        }
        pq_sys::PQconninfoFree(options);
        found
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    Plain,
    Secret,
    /// For libpq's own developers; not offered.
    Debug,
}
