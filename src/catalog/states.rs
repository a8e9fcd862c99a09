//! The states of tasks and tables, with their words in the catalog. A word that is not in these tables is an error: whatever it
//! means to the version that wrote it, it is none of the states that this one knows how to go on from.

use crate::error::{Error, Result, sqlstate};

macro_rules! states {
    ($(#[$about:meta])* $name:ident, $column:literal: $($(#[$note:meta])* $state:ident = $word:literal,)+) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$note])* $state,)+
        }

        impl $name {
            #[cfg(test)]
            const WORDS: &[&str] = &[$($word),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$state => $word,)+
                }
            }

            pub fn find(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$state),)+
                    _ => None,
                }
            }

            /// A word from the catalog.
            pub fn parse(word: &str) -> Result<$name> {
                $name::find(word).ok_or_else(|| unknown($column, word))
            }
        }
    };
}

states! {
    /// What the user wants of the task.
    Wanted, "courier.task.wanted":
    /// Created, never started.
    Created = "created",
    Running = "running",
    Paused = "paused",
    Finished = "finished",
}

states! {
    /// How far it is; each stage is entered when the one before is complete and recorded.
    Stage, "courier.task.stage":
    Created = "created",
    SchemaSync = "schema_sync",
    FullCopy = "full_copy",
    /// Indexes, constraints and the like, after the data.
    PostData = "post_data",
    CatchingUp = "catching_up",
    Synchronizing = "synchronizing",
}

states! {
    /// What becomes of a change that meets another row than expected on the destination.
    ConflictPolicy, "courier.task.conflict":
    /// The task stops at it.
    Error = "error",
    /// The destination's row stays.
    Ignore = "ignore",
    /// The source's row wins.
    Overwrite = "overwrite",
}

states! {
    /// What becomes of commands that change definitions on the source.
    DdlPolicy, "courier.task.ddl":
    /// They are applied on the destination, at their place in the stream.
    Replicate = "replicate",
    /// They are left to people.
    Ignore = "ignore",
    /// The task stops at one that concerns its tables.
    Stop = "stop",
    /// One that concerns its tables fails on the source.
    Refuse = "refuse",
}

states! {
    /// How far a table of a task is.
    TableState, "courier.task_table.state":
    /// To be copied.
    Init = "init",
    /// Being copied.
    DataSync = "datasync",
    /// Copied; the stream may still hold changes that the copy has.
    FinishedCopy = "finishedcopy",
    /// The stream is on its way past the copy.
    CatchUp = "catchup",
    /// It has passed it.
    Ready = "ready",
}

impl ConflictPolicy {
    /// A word that a user has typed.
    pub fn given(word: &str) -> Result<ConflictPolicy> {
        ConflictPolicy::find(word).ok_or_else(|| {
            Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("unknown conflict policy \"{word}\""))
                .hint("Known are error, ignore and overwrite.")
        })
    }
}

impl DdlPolicy {
    /// That of a task of which nobody has said it: commands are carried over wherever that can be done.
    pub fn of_new(incremental: bool, conflict: ConflictPolicy) -> DdlPolicy {
        if incremental && conflict == ConflictPolicy::Error { DdlPolicy::Replicate } else { DdlPolicy::Ignore }
    }

    /// A word that a user has typed.
    pub fn given(word: &str) -> Result<DdlPolicy> {
        DdlPolicy::find(word).ok_or_else(|| {
            Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("unknown policy for DDL \"{word}\""))
                .hint("Known are replicate, ignore, stop and refuse.")
        })
    }
}

fn unknown(column: &str, word: &str) -> Error {
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{column} is \"{word}\", which this version of pg_courier does not know"),
    )
    .detail("Another version has written it, or a person. What comes after it cannot be told.")
    .hint(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'pg_courier'; tells which versions meet. \
         Install the library of the version that wrote it.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_an_error_that_says_so() {
        let messages = [
            Wanted::parse("retired").err(),
            Stage::parse("cutover").err(),
            ConflictPolicy::parse("newest").err(),
            TableState::parse("").err(),
        ]
        .map(|error| error.map(|error| error.message().to_owned()).unwrap_or_default());
        assert_eq!(
            messages,
            [
                "courier.task.wanted is \"retired\", which this version of pg_courier does not know",
                "courier.task.stage is \"cutover\", which this version of pg_courier does not know",
                "courier.task.conflict is \"newest\", which this version of pg_courier does not know",
                "courier.task_table.state is \"\", which this version of pg_courier does not know",
            ]
        );
    }

    #[test]
    fn each_word_comes_back() {
        for word in Stage::WORDS {
            assert_eq!(Stage::parse(word).map(Stage::as_str).ok(), Some(*word));
        }
        for word in TableState::WORDS {
            assert_eq!(TableState::parse(word).map(TableState::as_str).ok(), Some(*word));
        }
    }

    /// `CHECK (column IN ('a', 'b'))` in the script.
    fn words_in_script(column: &str) -> Vec<&'static str> {
        let script = include_str!("../../sql/tables.sql");
        let start = format!("CHECK ({column} IN (");
        let list = script.split_once(&start).and_then(|(_, rest)| rest.split_once(')')).map(|(list, _)| list);
        list.unwrap_or_default().split(", ").map(|word| word.trim_matches('\'')).collect()
    }

    #[test]
    fn the_tables_take_these_words_and_no_others() {
        let known = [
            ("wanted", Wanted::WORDS),
            ("stage", Stage::WORDS),
            ("conflict", ConflictPolicy::WORDS),
            ("ddl", DdlPolicy::WORDS),
            ("state", TableState::WORDS),
        ];
        for (column, words) in known {
            assert_eq!(words_in_script(column), words, "{column}");
        }
    }
}
