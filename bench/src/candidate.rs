//! The candidates, each with a database of its own on the destination: how its slot is
//! made, how it is let go and stopped, and which processes do its work.

use std::time::Duration;

use pg_courier_tests::pair::{ROLE, create_task_sql};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Pair, TaskOptions, wait};

use crate::arena::{self, SOURCE, conninfo};
use crate::meter;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    Native { binary: bool },
    Pglogical,
    Courier,
}

/// Everyone who can run here; pglogical where it is installed.
pub fn all() -> Vec<Candidate> {
    let mut all = vec![Candidate::Native { binary: false }, Candidate::Native { binary: true }];
    if arena::has_pglogical() {
        all.push(Candidate::Pglogical);
    }
    all.push(Candidate::Courier);
    all
}

/// Those that come with the server, and ours.
pub const WITHOUT_PACKAGES: [Candidate; 3] =
    [Candidate::Native { binary: false }, Candidate::Native { binary: true }, Candidate::Courier];

impl Candidate {
    pub fn name(self) -> &'static str {
        match self {
            Candidate::Native { binary: false } => "built-in, text",
            Candidate::Native { binary: true } => "built-in, bin+str",
            Candidate::Pglogical => "pglogical",
            Candidate::Courier => "pg_courier",
        }
    }

    /// Its database on the destination; also the name of its slot, subscription or task.
    pub fn database(self) -> &'static str {
        match self {
            Candidate::Native { binary: false } => "native_text",
            Candidate::Native { binary: true } => "native_binary",
            Candidate::Pglogical => "pglogical_node",
            Candidate::Courier => "courier_task",
        }
    }

    /// Makes the slot, with nothing running: from here on the source keeps the backlog.
    pub fn prepare(self, pair: &Pair) {
        let name = self.database();
        match self {
            Candidate::Native { binary } => {
                pair.source.run(SOURCE, &format!("SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"));
                pair.destination.run(
                    name,
                    &format!(
                        "CREATE SUBSCRIPTION {name} CONNECTION {} PUBLICATION bench \
                         WITH (enabled = false, create_slot = false, slot_name = '{name}', copy_data = false, \
                         binary = {binary}, streaming = {binary})",
                        literal(&conninfo(pair))
                    ),
                );
                // Without copying each table is ready at once; somebody has to say so.
                pair.destination.run(name, &format!("ALTER SUBSCRIPTION {name} SET (synchronous_commit = off)"));
            }
            Candidate::Pglogical => prepare_pglogical(pair, name),
            Candidate::Courier => {
                let options = TaskOptions { schema_sync: Some(false), full_copy: Some(false), ..Default::default() };
                pair.source.run(SOURCE, &create_task_sql(name, name, &["public.*"], &options));
                pair.call(SOURCE, "start", name);
                pair.wait_for_state(SOURCE, name, "synchronizing");
                pair.call(SOURCE, "pause", name);
            }
        }
    }

    pub fn go(self, pair: &Pair) {
        let name = self.database();
        match self {
            Candidate::Native { .. } => pair.destination.run(name, &format!("ALTER SUBSCRIPTION {name} ENABLE")),
            Candidate::Pglogical => {
                pair.destination.run(name, &format!("SELECT pglogical.alter_subscription_enable('{name}', true)"));
            }
            Candidate::Courier => pair.call(SOURCE, "resume", name),
        }
    }

    pub fn stop(self, pair: &Pair) {
        let name = self.database();
        match self {
            Candidate::Native { .. } => {
                pair.destination.run(name, &format!("ALTER SUBSCRIPTION {name} DISABLE"));
                wait::until(
                    "the built-in apply worker has ended",
                    Duration::from_secs(60),
                    || meter::pids(&pair.destination, self.destination_processes()).is_empty().then_some(()),
                    || pair.destination.log_tail(30),
                );
            }
            Candidate::Pglogical => disable_pglogical(pair, name),
            Candidate::Courier => pair.call(SOURCE, "pause", name),
        }
    }

    pub fn remove(self, pair: &Pair) {
        let name = self.database();
        match self {
            Candidate::Native { .. } => {
                pair.destination.run(name, &format!("ALTER SUBSCRIPTION {name} DISABLE"));
                pair.destination.run(name, &format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"));
                pair.destination.run(name, &format!("DROP SUBSCRIPTION {name}"));
                pair.source.wait_until(
                    "postgres",
                    "the slot is free",
                    &format!("NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{name}' AND active)"),
                );
                pair.source.run(
                    SOURCE,
                    &format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'"),
                );
            }
            Candidate::Pglogical => {
                disable_pglogical(pair, name);
                pair.destination.run(
                    name,
                    &format!("SELECT pglogical.drop_subscription('{name}'); DROP EXTENSION pglogical CASCADE"),
                );
                pair.source.run(
                    SOURCE,
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE plugin = 'pglogical_output' AND NOT active; DROP EXTENSION pglogical CASCADE",
                );
            }
            Candidate::Courier => pair.call(SOURCE, "drop_task", name),
        }
    }

    /// The process that reads the WAL.
    pub fn source_processes(self) -> &'static str {
        match self {
            Candidate::Native { .. } | Candidate::Pglogical => "backend_type = 'walsender'",
            Candidate::Courier => "backend_type LIKE 'pg_courier%'",
        }
    }

    /// The process that writes the rows.
    pub fn destination_processes(self) -> &'static str {
        match self {
            Candidate::Native { .. } => "backend_type LIKE 'logical replication %worker'",
            Candidate::Pglogical => "backend_type LIKE 'pglogical apply%'",
            Candidate::Courier => const_role(),
        }
    }
}

/// Both nodes and a subscription that is caught up, then let go of.
fn prepare_pglogical(pair: &Pair, name: &str) {
    let source = literal(&arena::conninfo(pair));
    let here = literal(&arena::conninfo_of(&pair.destination, name));
    pair.source.run(
        SOURCE,
        &format!(
            "CREATE EXTENSION pglogical; SELECT pglogical.create_node('provider', {source}); \
             SELECT pglogical.replication_set_add_table( \
               CASE WHEN EXISTS (SELECT FROM pg_index i WHERE i.indrelid = p.prrelid AND i.indisprimary) \
                    THEN 'default' ELSE 'default_insert_only' END, p.prrelid) \
             FROM pg_publication_rel p"
        ),
    );
    pair.destination.run(
        name,
        &format!(
            "CREATE EXTENSION pglogical; SELECT pglogical.create_node('subscriber', {here}); \
             SELECT pglogical.create_subscription('{name}', {source}, synchronize_structure := false, synchronize_data := false)"
        ),
    );
    pair.destination.wait_until(
        name,
        "pglogical replicates",
        &format!("(SELECT status FROM pglogical.show_subscription_status('{name}')) = 'replicating'"),
    );
    disable_pglogical(pair, name);
}

fn disable_pglogical(pair: &Pair, name: &str) {
    pair.destination.run(name, &format!("SELECT pglogical.alter_subscription_disable('{name}', true)"));
    pair.source.wait_until(
        SOURCE,
        "pglogical's slot is free",
        "NOT EXISTS (SELECT FROM pg_replication_slots WHERE plugin = 'pglogical_output' AND active)",
    );
}

fn const_role() -> &'static str {
    // The task's sessions on the destination are all of its role.
    debug_assert_eq!(ROLE, "courier");
    "usename = 'courier'"
}
