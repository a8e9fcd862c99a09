//! Names of tasks and slots.

pub use super::quote::{quote_ident, quote_literal, quote_qualified, shown, shown_qualified};
use crate::error::{Error, Result, sqlstate};

/// How the names of all slots of tasks begin.
const SLOT_PREFIX: &str = "courier_";

/// Task names become slot names (`courier_<task>`), which allow little: at most 40 of `a-z`, `0-9` and `_`.
pub fn check_task_name(name: &str) -> Result<()> {
    let invalid = |message: String| {
        Err(Error::new(sqlstate::INVALID_NAME, message)
            .detail("The name becomes part of a replication slot name.")
            .hint("Use 1 to 40 lower-case letters, digits and underscores, starting with a letter."))
    };
    let length = name.chars().count();
    if length > 40 {
        return invalid(format!("task name \"{name}\" is too long ({length} characters)"));
    }
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts_well || !name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')) {
        return invalid(format!("invalid task name \"{name}\""));
    }
    Ok(())
}

pub fn slot_name(task: &str) -> String {
    format!("{SLOT_PREFIX}{task}")
}

/// Does a slot of this name belong to a task? All such names are kept for tasks.
pub fn is_slot_of_task(slot: &str) -> bool {
    slot.starts_with(SLOT_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_names_are_slot_names() {
        assert!(check_task_name("shop_to_dr").is_ok());
        assert!(check_task_name(&"a".repeat(40)).is_ok());
        for bad in ["", "Shop", "shop-to-dr", "1a", "a b", "täsk"] {
            assert_eq!(check_task_name(bad).expect_err(bad).sqlstate(), sqlstate::INVALID_NAME);
        }
        assert!(check_task_name(&"a".repeat(41)).expect_err("long").message().contains("too long"));
    }
}
