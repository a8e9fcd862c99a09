//! Kinds of steps: what people read, and the place among all others.

/// Before the rows are copied, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    PreData,
    PostData,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    // What one of two images has not.
    DropPart,
    Drop,
    Detach,
    RenameSchema,
    SetSchema,
    Rename,
    // In the order in which an empty destination takes them.
    Schema,
    Extension,
    /// In the version of the destination, where that has not the source's.
    ExtensionInAnotherVersion,
    Collation,
    Sequence,
    Type,
    Domain,
    Table,
    Column,
    ColumnType,
    ColumnDefault,
    ColumnNotNull,
    ColumnStorage,
    ColumnStatistics,
    ColumnOptions,
    ColumnCompression,
    /// Persistence, storage parameters.
    TableSettings,
    SequenceOwnedBy,
    IdentitySequence,
    Partition,
    Inherit,
    PrimaryKey,
    UniqueConstraint,
    ExclusionConstraint,
    Index,
    IndexPartition,
    IndexStatistics,
    Cluster,
    Statistics,
    StatisticsTarget,
    Check,
    NotNull,
    ForeignKey,
    ReplicaIdentity,
    Trigger,
    TriggerState,
    RowLevelSecurity,
    Policy,
    Comment,
    /// What was granted before.
    TakeBack,
    Grant,
    Revoke,
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

    fn row(self) -> (u16, &'static str) {
        match self {
            Kind::DropPart => (10, "drop"),
            Kind::Drop => (20, "drop"),
            Kind::Detach => (11, "detach"),
            Kind::RenameSchema => (29, "rename"),
            Kind::SetSchema => (30, "set schema"),
            Kind::Rename => (31, "rename"),
            Kind::Schema => (100, "schema"),
            Kind::Extension => (110, "extension"),
            Kind::ExtensionInAnotherVersion => (110, "extension in another version"),
            Kind::Collation => (120, "collation"),
            Kind::Sequence => (130, "sequence"),
            Kind::Type => (140, "type"),
            Kind::Domain => (140, "domain"),
            Kind::Table => (140, "table"),
            Kind::Column => (145, "column"),
            Kind::ColumnType => (146, "column type"),
            Kind::ColumnDefault => (150, "column default"),
            Kind::ColumnNotNull => (150, "column not null"),
            Kind::ColumnStorage => (155, "column storage"),
            Kind::ColumnStatistics => (155, "column statistics"),
            Kind::ColumnOptions => (155, "column options"),
            Kind::ColumnCompression => (155, "column compression"),
            Kind::TableSettings => (156, "table settings"),
            Kind::SequenceOwnedBy => (160, "sequence owned by"),
            Kind::IdentitySequence => (160, "identity sequence"),
            Kind::Partition => (170, "partition"),
            Kind::Inherit => (170, "inherit"),
            Kind::PrimaryKey => (200, "primary key"),
            Kind::UniqueConstraint => (210, "unique constraint"),
            Kind::ExclusionConstraint => (220, "exclusion constraint"),
            Kind::Index => (230, "index"),
            Kind::IndexPartition => (235, "index partition"),
            Kind::IndexStatistics => (236, "index statistics"),
            Kind::Cluster => (237, "cluster"),
            Kind::Statistics => (240, "statistics"),
            Kind::StatisticsTarget => (240, "statistics target"),
            Kind::Check => (250, "check"),
            Kind::NotNull => (250, "not null"),
            Kind::ForeignKey => (260, "foreign key"),
            Kind::ReplicaIdentity => (270, "replica identity"),
            Kind::Trigger => (280, "trigger"),
            Kind::TriggerState => (285, "trigger state"),
            Kind::RowLevelSecurity => (290, "row level security"),
            Kind::Policy => (291, "policy"),
            Kind::Comment => (300, "comment"),
            Kind::TakeBack => (305, "revoke"),
            Kind::Grant => (310, "grant"),
            Kind::Revoke => (310, "revoke"),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
