//! Kinds of steps: what people read, and the place among all others.
//!
//! ```text
//!   under former names   sequences leave their columns, partitions and children their parents; parts go, then tables: what is in the way
//!                        of a name is gone
//!   names                schemas are renamed and made, then tables, types, sequences, indexes, then what is inside of them
//!   under new names      what an empty destination takes in this order: containers, types, tables, columns; each followed by the
//!                        changes of what is there already
//!   what was needed      sequences, types, collations that no column has any more (one in the way of a name was renamed before)
//!   post-data            keys, indexes, partitions under a parent that has some, checks, foreign keys, triggers, policies
//!   notes                comments, privileges; at last extensions and schemas that go
//! ```
//!
//! In each phase parents come before children: what the server does to children by itself is there when their own steps are asked for.
//! Keys and indexes come in the order of the source's oids, as the server takes the first that fits (`diff/twins.rs`).

/// Before the rows are copied, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    PreData,
    PostData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    // Under former names.
    SequenceFree,
    Detach,
    DropView,
    DropPart,
    DropRoutine,
    Drop,
    RenameSchema,
    // In the order in which an empty destination takes them.
    Schema,
    SetSchema,
    Rename,
    /// Of what has its name inside of a table, a type or a domain.
    RenamePart,
    Extension,
    /// In the version of the destination, where that has not the source's.
    ExtensionInAnotherVersion,
    ExtensionUpdate,
    Collation,
    Sequence,
    SequenceChange,
    NotOfType,
    Type,
    Domain,
    Table,
    Routine,
    Plain,
    /// Behind its routine, which everybody could call until then.
    RoutineRevoke,
    /// That a table or a type needs.
    EarlyView,
    TypeChange,
    DomainChange,
    Column,
    ColumnType,
    /// What a column is generated from, or no longer.
    ColumnExpression,
    ColumnDefault,
    ColumnNotNull,
    ColumnIdentity,
    ColumnStorage,
    ColumnStatistics,
    ColumnOptions,
    ColumnCompression,
    /// Persistence, access method, storage parameters.
    TableSettings,
    OfType,
    SequencePersistence,
    SequenceOwnedBy,
    IdentitySequence,
    Partition,
    Inherit,
    /// To make room for another one of the same name.
    DropReplaced,
    /// What nothing needs any more.
    DropNeeded,
    PrimaryKey,
    UniqueConstraint,
    /// Of nothing but columns: it may be taken for a key, and the other way round.
    UniqueIndex,
    ExclusionConstraint,
    Index,
    /// Of a table that becomes a partition itself: its own index holds then, and is not made once more.
    IndexOfSubtree,
    /// Under a parent that is there already, whose keys and indexes the partition has by now.
    PartitionOfOld,
    /// Of partitions, that are equal and under each other's index of the partitioned table.
    IndexExchange,
    IndexPartition,
    IndexSettings,
    IndexStatistics,
    Cluster,
    Statistics,
    StatisticsTarget,
    Check,
    NotNull,
    ForeignKey,
    ConstraintChange,
    ReplicaIdentity,
    /// Also in place of one that is there.
    View,
    /// That needs a view.
    LateRoutine,
    LateRoutineRevoke,
    LatePlain,
    /// That needs a function which needs the table.
    LateDefault,
    ViewDefault,
    Rule,
    RuleState,
    Trigger,
    TriggerState,
    RowLevelSecurity,
    Policy,
    Refresh,
    Comment,
    /// What was granted before.
    TakeBack,
    Grant,
    Revoke,
    DropContainer,
}

impl Section {
    pub fn as_str(self) -> &'static str {
        match self {
            Section::PreData => "pre-data",
            Section::PostData => "post-data",
        }
    }
}

impl Kind {
    /// Steps of a lower phase come first; what is in one phase is ordered by its level.
    pub fn phase(self) -> u16 {
        self.row().0
    }

    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    pub fn section(self) -> Section {
        const POST_DATA: u16 = 200;
        if self.phase() < POST_DATA { Section::PreData } else { Section::PostData }
    }

    /// No row needs it: where the destination does not take it, the rest goes on.
    pub fn can_wait(self) -> bool {
        matches!(
            self,
            Kind::Routine
                | Kind::LateRoutine
                | Kind::Plain
                | Kind::LatePlain
                | Kind::EarlyView
                | Kind::View
                | Kind::ViewDefault
                | Kind::Rule
                | Kind::RuleState
                | Kind::Trigger
                | Kind::TriggerState
                | Kind::Refresh
        )
    }

    /// Is a function or a view created?
    pub fn is_code(self) -> bool {
        matches!(self, Kind::Routine | Kind::LateRoutine | Kind::Plain | Kind::LatePlain | Kind::EarlyView | Kind::View)
    }

    /// Is it one with the statement before: nobody is to see the other without it?
    pub fn is_of_the_one_before(self) -> bool {
        matches!(self, Kind::RoutineRevoke | Kind::LateRoutineRevoke)
    }

    /// Rows do not mind when it does not go: what a table needs that is left there, or that somebody else has made.
    pub fn may_stay(self) -> bool {
        matches!(self, Kind::DropView | Kind::DropRoutine | Kind::DropNeeded | Kind::DropContainer)
    }

    /// Something goes, once nothing needs it.
    pub fn is_drop(self) -> bool {
        self.may_stay() || matches!(self, Kind::DropPart | Kind::Drop)
    }

    fn row(self) -> (u16, &'static str) {
        match self {
            Kind::SequenceFree => (8, "sequence owned by"),
            Kind::Detach => (9, "detach"),
            Kind::DropView => (9, "drop"),
            Kind::DropPart => (10, "drop"),
            Kind::DropRoutine => (19, "drop"),
            Kind::Drop => (20, "drop"),
            Kind::RenameSchema => (28, "rename"),
            Kind::Schema => (29, "schema"),
            Kind::SetSchema => (30, "set schema"),
            Kind::Rename => (30, "rename"),
            Kind::RenamePart => (31, "rename"),
            Kind::Extension => (110, "extension"),
            Kind::ExtensionInAnotherVersion => (110, "extension in another version"),
            Kind::ExtensionUpdate => (111, "extension update"),
            Kind::Collation => (120, "collation"),
            Kind::Sequence => (130, "sequence"),
            Kind::SequenceChange => (131, "sequence options"),
            Kind::NotOfType => (135, "table type"),
            Kind::Type => (140, "type"),
            Kind::Domain => (140, "domain"),
            Kind::Table => (140, "table"),
            Kind::Routine => (140, "routine"),
            Kind::Plain => (140, "object"),
            Kind::RoutineRevoke => (140, "revoke"),
            Kind::EarlyView => (140, "view"),
            Kind::TypeChange => (141, "type change"),
            Kind::DomainChange => (142, "domain change"),
            Kind::Column => (145, "column"),
            Kind::ColumnType => (146, "column type"),
            Kind::ColumnExpression => (147, "column expression"),
            Kind::ColumnDefault => (150, "column default"),
            Kind::ColumnNotNull => (150, "column not null"),
            Kind::ColumnIdentity => (151, "column identity"),
            Kind::ColumnStorage => (155, "column storage"),
            Kind::ColumnStatistics => (155, "column statistics"),
            Kind::ColumnOptions => (155, "column options"),
            Kind::ColumnCompression => (155, "column compression"),
            Kind::TableSettings => (156, "table settings"),
            Kind::OfType => (157, "table type"),
            Kind::SequencePersistence => (158, "sequence persistence"),
            Kind::SequenceOwnedBy => (160, "sequence owned by"),
            Kind::IdentitySequence => (160, "identity sequence"),
            Kind::Partition => (170, "partition"),
            Kind::Inherit => (170, "inherit"),
            Kind::DropReplaced => (195, "drop"),
            Kind::DropNeeded => (196, "drop"),
            Kind::PrimaryKey => (200, "primary key"),
            Kind::UniqueConstraint => (200, "unique constraint"),
            Kind::UniqueIndex => (200, "index"),
            Kind::ExclusionConstraint => (220, "exclusion constraint"),
            Kind::Index => (230, "index"),
            Kind::IndexOfSubtree => (231, "index partition"),
            Kind::PartitionOfOld => (232, "partition"),
            Kind::IndexExchange => (233, "rename"),
            Kind::IndexPartition => (235, "index partition"),
            Kind::IndexSettings => (236, "index settings"),
            Kind::IndexStatistics => (236, "index statistics"),
            Kind::Cluster => (237, "cluster"),
            Kind::Statistics => (240, "statistics"),
            Kind::StatisticsTarget => (240, "statistics target"),
            Kind::Check => (250, "check"),
            Kind::NotNull => (250, "not null"),
            Kind::ForeignKey => (260, "foreign key"),
            Kind::ConstraintChange => (265, "constraint change"),
            Kind::ReplicaIdentity => (270, "replica identity"),
            Kind::View => (205, "view"),
            Kind::LateRoutine => (205, "routine"),
            Kind::LatePlain => (205, "object"),
            Kind::LateRoutineRevoke => (205, "revoke"),
            Kind::LateDefault => (207, "column default"),
            Kind::ViewDefault => (206, "view default"),
            Kind::Rule => (278, "rule"),
            Kind::RuleState => (279, "rule state"),
            Kind::Trigger => (280, "trigger"),
            Kind::TriggerState => (285, "trigger state"),
            Kind::RowLevelSecurity => (290, "row level security"),
            Kind::Policy => (291, "policy"),
            Kind::Refresh => (295, "refresh"),
            Kind::Comment => (300, "comment"),
            Kind::TakeBack => (305, "revoke"),
            Kind::Grant => (310, "grant"),
            Kind::Revoke => (310, "revoke"),
            Kind::DropContainer => (320, "drop"),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
