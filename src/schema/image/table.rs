//! A table with everything that belongs to it.

use serde::{Deserialize, Serialize};

use super::{Name, Rule, Sequence};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    Default,
    Full,
    Nothing,
    /// That of the table whose flag says so, if it is still there.
    Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub oid: u32,
    pub level: i64,
    pub name: Name,
    pub is_partitioned: bool,
    pub is_partition: bool,
    pub unlogged: bool,
    pub of_type: Option<String>,
    /// Null for the server's own; of a partitioned table, that of its partitions, if it says one.
    pub access_method: Option<String>,
    pub partition_key: Option<String>,
    pub bound: Option<String>,
    /// Those in the image.
    pub parents: Vec<Parent>,
    pub options: Vec<StorageOption>,
    pub replica_identity: ReplicaIdentity,
    pub row_security: bool,
    pub force_row_security: bool,
    /// By number.
    pub columns: Vec<Column>,
    /// By name.
    pub constraints: Vec<Constraint>,
    pub indexes: Vec<Index>,
    pub statistics: Vec<Statistics>,
    pub triggers: Vec<Trigger>,
    pub policies: Vec<Policy>,
    #[serde(default)]
    pub rules: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    pub oid: u32,
    /// `inhseqno`: from 1.
    pub position: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageOption {
    pub of_toast: bool,
    pub name: String,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    Stored,
    Virtual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Storage {
    Plain,
    External,
    Main,
    Extended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    Pglz,
    Lz4,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub attnum: i16,
    pub name: String,
    pub type_oid: u32,
    pub type_name: String,
    /// Null where it is the type's own; so with `storage`.
    pub collation: Option<Name>,
    pub not_null: bool,
    /// Declared here, not only inherited.
    pub is_local: bool,
    /// The default, or what the column is generated from; a default that is blocked is none.
    pub expression: Option<String>,
    /// Its row in `pg_attrdef`, by which is known what it depends on.
    #[serde(default)]
    pub default_oid: Option<u32>,
    pub generated: Option<Generated>,
    /// Generated on the source by what the destination has not: there it is a plain column, and its values come in the stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fed: bool,
    /// What rows from before the column have (`attmissingval`), as text; asked for only where a command is captured.
    #[serde(default)]
    pub missing: Option<String>,
    pub identity: Option<Identity>,
    pub storage: Option<Storage>,
    pub statistics: Option<i32>,
    pub options: Vec<(String, String)>,
    pub compression: Option<Compression>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub always: bool,
    /// Null for a partition whose partitioned table is not in the image (17).
    pub sequence: Option<Box<Sequence>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    Exclusion,
    Check,
    NotNull,
    ForeignKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    pub oid: u32,
    pub name: String,
    pub kind: ConstraintKind,
    pub definition: String,
    pub columns: Vec<i16>,
    pub validated: bool,
    pub is_local: bool,
    pub inherit_count: i32,
    pub no_inherit: bool,
    pub deferrable: bool,
    pub deferred: bool,
    pub index: Option<u32>,
    /// The table of the constraint that hands it down.
    pub parent_table: Option<u32>,
    pub blocked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub oid: u32,
    pub name: String,
    pub constraint: Option<u32>,
    /// Null for that of a constraint.
    pub definition: Option<String>,
    pub unique: bool,
    /// One whose build failed is not worth building again.
    pub usable: bool,
    pub clustered: bool,
    pub is_replica_identity: bool,
    pub parent: Option<u32>,
    pub options: Vec<(String, String)>,
    pub statistics: Vec<IndexStatistics>,
    pub blocked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStatistics {
    pub attnum: i16,
    pub attname: String,
    pub target: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    pub oid: u32,
    pub name: Name,
    pub definition: String,
    pub target: Option<i32>,
    pub blocked: bool,
}

/// For whom a trigger or a rule fires: ALWAYS and REPLICA would fire for what a task applies. For everybody else it is as if ALWAYS were an
/// ordinary trigger, and REPLICA a disabled one: so they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Firing {
    Enabled,
    Disabled,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    pub oid: u32,
    pub name: String,
    pub definition: String,
    pub firing: Firing,
    /// How the partitioned table's fires, from which it comes.
    pub inherited: Option<Firing>,
    pub blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PolicyCommand {
    All,
    Select,
    Insert,
    Update,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub oid: u32,
    pub name: String,
    pub permissive: bool,
    pub command: PolicyCommand,
    pub to_public: bool,
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub check: Option<String>,
    pub blocked: bool,
}

impl Table {
    pub fn column(&self, attnum: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.attnum == attnum)
    }

    /// Names of the columns whose values the source computes.
    pub fn fed(&self) -> Vec<String> {
        self.columns.iter().filter(|column| column.fed).map(|column| column.name.clone()).collect()
    }

    /// It leaves the task: what it refers to goes on without it.
    pub fn stand_alone(&mut self) {
        self.constraints.retain(|of| of.kind != ConstraintKind::ForeignKey);
    }

    /// Does an index or a trigger say that it is on a table of another name? The server shows them as they are now, whatever the snapshot.
    pub fn is_torn(&self) -> bool {
        // How names are quoted is no matter here.
        let plain = |text: &str| text.replace('"', "");
        let name = plain(&format!("{}.{} ", self.name.schema, self.name.name));
        let indexes = self.indexes.iter().filter_map(|index| index.definition.as_deref());
        let definitions = indexes.chain(self.triggers.iter().map(|trigger| trigger.definition.as_str()));
        definitions
            .map(plain)
            .any(|text| !text.contains(&format!(" ON {name}")) && !text.contains(&format!(" ON ONLY {name}")))
    }

    pub fn index(&self, oid: u32) -> Option<&Index> {
        self.indexes.iter().find(|index| index.oid == oid)
    }

    /// Row security shows more than the source does where a permissive policy stands without a restrictive one: the first of those that
    /// cannot be created.
    pub fn missing_restriction(&self) -> Option<&Policy> {
        self.policies.iter().filter(|p| !p.permissive && p.blocked).min_by(|a, b| a.name.cmp(&b.name))
    }
}

impl Index {
    /// Is it created, by itself or with its constraint?
    pub fn is_made(&self) -> bool {
        self.usable && !self.blocked
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::samples::{index, table};

    #[test]
    fn an_index_that_names_another_table_was_read_at_another_time() {
        let with = |name: &str, definition: &str| {
            let mut of = table(1, name);
            of.indexes.push(index(2, "i", definition));
            of.is_torn()
        };
        assert!(!with("t", "CREATE INDEX i ON s.t USING btree (note)"));
        assert!(!with("user", "CREATE INDEX i ON ONLY s.\"user\" USING btree (note)"));
        assert!(!with("My\"T", "CREATE INDEX i ON s.\"My\"\"T\" USING btree (note)"));
        assert!(with("t", "CREATE INDEX i ON stage.t USING btree (note)"));
        assert!(with("t", "CREATE INDEX i ON s.t2 USING btree (note)"));
    }
}
