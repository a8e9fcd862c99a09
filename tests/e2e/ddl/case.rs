//! One story about commands: what sessions of the source do, and what has to hold on the destination.
//!
//! A script has one simple query a line. `B: ` in front of it is the session that sends it (the first one without), `!` says that the
//! server refuses it. Each case has a schema of its own, which its sessions search first: `@S`, and what begins with `@S_`, is followed
//! by the task, `@X` is not. Every case begins with
//!
//! ```text
//!   t (id int PRIMARY KEY, v text)                       50 rows
//!   o (id int PRIMARY KEY, t_id -> t, n numeric)         20 rows
//!   sq                                                   a sequence
//! ```

/// Rows of `courier.ddl` that a case leaves behind are in these states, each of them once at least.
pub type States = &'static [&'static str];

pub const APPLIED: States = &["applied"];
/// Nothing was recorded, or only that it is no business of the task.
pub const NOTHING: States = &[];

#[derive(Debug, Clone)]
pub struct Case {
    /// What has to hold, as a sentence.
    pub name: &'static str,
    pub script: &'static str,
    /// On the source, before the task starts.
    pub before: Vec<&'static str>,
    /// On the destination as the task's login, before the script.
    pub there: &'static str,
    pub states: States,
    /// Tables and indexes that the destination does not write anew.
    pub keeps_files: &'static [&'static str],
    /// Queries of the destination, and the first value of each.
    pub sees: Vec<(&'static str, &'static str)>,
    /// Both sides are not alike on purpose: only rows of tables that both have, and `sees`, are looked at.
    pub unlike: bool,
    pub from_major: u32,
    /// Also told with the apply worker killed in the middle.
    pub killed: bool,
}

impl Case {
    pub fn new(name: &'static str, script: &'static str) -> Case {
        Case {
            name,
            script,
            before: Vec::new(),
            there: "",
            states: APPLIED,
            keeps_files: &[],
            sees: Vec::new(),
            unlike: false,
            from_major: 13,
            killed: false,
        }
    }

    pub fn before(mut self, before: &'static str) -> Case {
        self.before.push(before);
        self
    }

    pub fn there(self, there: &'static str) -> Case {
        Case { there, ..self }
    }

    pub fn states(self, states: States) -> Case {
        Case { states, ..self }
    }

    pub fn keeps_files(self, keeps_files: &'static [&'static str]) -> Case {
        Case { keeps_files, ..self }
    }

    pub fn sees(mut self, query: &'static str, value: &'static str) -> Case {
        self.sees.push((query, value));
        self
    }

    pub fn unlike(self) -> Case {
        Case { unlike: true, ..self }
    }

    pub fn since(self, from_major: u32) -> Case {
        Case { from_major, ..self }
    }

    pub fn killed(self) -> Case {
        Case { killed: true, ..self }
    }

    pub fn steps(&self) -> Vec<Step> {
        self.script.lines().map(str::trim).filter(|line| !line.is_empty()).map(Step::read).collect()
    }
}

/// One simple query of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub session: char,
    pub refused: bool,
    pub sql: &'static str,
}

impl Step {
    fn read(line: &'static str) -> Step {
        let (session, rest) = match line.split_at_checked(3) {
            Some((label, rest)) if label.ends_with(": ") && label.starts_with(|c: char| c.is_ascii_uppercase()) => {
                (label.chars().next().unwrap_or('A'), rest.trim_start())
            }
            _ => ('A', line),
        };
        match rest.strip_prefix('!') {
            Some(sql) => Step { session, refused: true, sql: sql.trim_start() },
            None => Step { session, refused: false, sql: rest },
        }
    }
}

#[test]
fn a_line_is_a_query_of_a_session() {
    let case = Case::new("", "begin; select 1\n\n  B: !select 2\n  C: commit");
    let step = |session, refused, sql| Step { session, refused, sql };
    let expected = [step('A', false, "begin; select 1"), step('B', true, "select 2"), step('C', false, "commit")];
    assert_eq!(case.steps(), expected);
}
