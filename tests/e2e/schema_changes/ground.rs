//! Two databases of one server, and what keeps the second like the first: the steps from one image of the first to the next run in the
//! second, each that its own question does not find needless. Then a dump cannot tell them apart, and no step is needed any more.

use std::fmt::Write;

use pg_courier_tests::dump::{Dump, Privileges};
use pg_courier_tests::{Answer, Cluster, Install};

const HERE: &str = "here";
const THERE: &str = "there";

/// All objects of a user, whole, but those of pg_courier.
const IMAGE: &str = "SELECT pg_temp.image(array_agg(o.class), array_agg(o.oid)) FROM ( \
      SELECT 'pg_class'::regclass::oid AS class, c.oid, c.relnamespace AS schema FROM pg_class c WHERE c.relkind IN ('r', 'p', 'S') \
         AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' \
                            AND c.relkind = 'S') \
      UNION ALL SELECT 'pg_type'::regclass, y.oid, y.typnamespace FROM pg_type y LEFT JOIN pg_class c ON c.oid = y.typrelid \
         WHERE y.typtype IN ('e', 'd', 'r') OR c.relkind = 'c' \
      UNION ALL SELECT 'pg_collation'::regclass, l.oid, l.collnamespace FROM pg_collation l \
      UNION ALL SELECT 'pg_namespace'::regclass, n.oid, n.oid FROM pg_namespace n \
      UNION ALL SELECT 'pg_extension'::regclass, x.oid, 2200 FROM pg_extension x WHERE x.extname NOT IN ('plpgsql', 'pg_courier')) AS o \
     JOIN pg_namespace n ON n.oid = o.schema \
    WHERE n.nspname LIKE 'k%' OR o.class = 'pg_extension'::regclass";

/// How a command begins after which it looks as before it: two things have exchanged their names, one has that of another that is gone.
/// What is asked about its steps then says nothing.
pub const LOOKS_UNDONE: &str = "/* looks undone */";

/// A story: objects, rows that both have, and commands, each followed there before the next one.
pub struct Case {
    pub name: &'static str,
    pub objects: &'static str,
    pub rows: &'static str,
    pub commands: &'static [&'static str],
}

pub const fn case(
    name: &'static str,
    objects: &'static str,
    rows: &'static str,
    commands: &'static [&'static str],
) -> Case {
    Case { name, objects, rows, commands }
}

pub struct Ground {
    cluster: Cluster,
}

impl Ground {
    pub fn start() -> Ground {
        let cluster = Cluster::builder("s").preload(true).conf("wal_level", "logical").start();
        cluster.create_database(HERE);
        cluster.create_database(THERE);
        cluster.run(HERE, "CREATE EXTENSION pg_courier; CREATE ROLE reader; CREATE ROLE writer");
        Ground { cluster }
    }

    pub fn major(&self) -> u32 {
        Install::get().major()
    }

    /// All of them; what went wrong is told at the end, of each case.
    pub fn follow(&self, cases: &[Case]) {
        let mut told = String::new();
        for case in cases {
            if let Err(problem) = self.follow_one(case) {
                let _ = writeln!(told, "--- {}\n{problem}", case.name);
            }
            self.clear();
        }
        assert!(told.is_empty(), "\n{told}");
    }

    fn follow_one(&self, case: &Case) -> Result<(), String> {
        let mut before = "{}".to_owned();
        let objects = std::iter::once(&case.objects);
        for (at, command) in objects.chain(case.commands).enumerate() {
            self.cluster
                .connect(HERE)
                .batch_execute(command)
                .map_err(|e| format!("{command}: {}", Answer::from(&e)))?;
            let after = self.image();
            self.bring(&before, &after, command.starts_with(LOOKS_UNDONE))
                .map_err(|problem| format!("{command}\n{problem}"))?;
            before = after;
            if at == 0 && !case.rows.is_empty() {
                self.cluster.run(HERE, case.rows);
                self.cluster.run(THERE, case.rows);
            }
        }
        Ok(())
    }

    /// Commands that somebody makes up, until one cannot be followed: what has happened then is told.
    pub fn follow_any(&self, objects: &str, rows: &str, commands: usize, mut next: impl FnMut() -> String) {
        let mut before = "{}".to_owned();
        let mut told = Vec::new();
        let mut here = self.cluster.connect(HERE);
        for at in 0..=commands {
            let command = if at == 0 { objects.to_owned() } else { next() };
            if here.batch_execute(&command).is_err() {
                continue;
            }
            let after = self.image();
            told.push(command);
            if let Err(problem) = self.bring(&before, &after, true) {
                panic!("\n{};\n{problem}", told[1..].join(";\n"));
            }
            before = after;
            if at == 0 {
                self.cluster.run(HERE, rows);
                self.cluster.run(THERE, rows);
            }
        }
        println!("{} of {commands} commands followed", told.len() - 1);
        self.clear();
    }

    fn declare(&self) -> postgres::Client {
        let mut session = self.cluster.connect(HERE);
        session
            .batch_execute(
                "CREATE FUNCTION pg_temp.image(oid[], oid[]) RETURNS text LANGUAGE c AS 'pg_courier', 'schema_image_wrapper'; \
                 CREATE FUNCTION pg_temp.difference(text, text) RETURNS TABLE (object text, statement text, present_sql text) \
                 LANGUAGE c AS 'pg_courier', 'schema_difference_wrapper'",
            )
            .expect("the library of tests has them");
        session
    }

    fn image(&self) -> String {
        let image: Option<String> = self.declare().query_one(IMAGE, &[]).expect("an image").get(0);
        image.unwrap_or_else(|| "{}".to_owned())
    }

    fn bring(&self, before: &str, after: &str, looks_undone: bool) -> Result<(), String> {
        let rows = self.declare().query("SELECT * FROM pg_temp.difference($1, $2)", &[&before, &after]);
        let rows = rows.map_err(|e| Answer::from(&e).to_string())?;
        let mut there = self.cluster.connect(THERE);
        there.batch_execute("SET search_path = pg_catalog, pg_temp").expect("a setting");
        let mut ran = String::new();
        for pass in 0..2 {
            if pass == 1 && looks_undone {
                break;
            }
            for row in &rows {
                let (object, statement, present): (String, Option<String>, Option<String>) =
                    (row.get(0), row.get(1), row.get(2));
                let Some((statement, present)) = statement.zip(present) else {
                    return Err(format!("  unsaid: {object}"));
                };
                let asked = there.query_one(&present, &[]);
                let asked = asked.map_err(|e| format!("  {present}: {}", Answer::from(&e)))?;
                let is_there = asked.get::<_, Option<bool>>(0);
                match (pass, is_there) {
                    (_, Some(true)) => {}
                    (0, Some(false)) => {
                        let _ = writeln!(ran, "  {statement}");
                        there.batch_execute(&statement).map_err(|e| format!("{ran}  failed: {}", Answer::from(&e)))?;
                    }
                    _ => return Err(format!("{ran}  needed again: {statement}\n  {present}")),
                }
            }
        }
        let dump = |database| Dump::of((&self.cluster, database), "k*", Privileges::Dumped);
        match dump(HERE).difference(&dump(THERE)) {
            Some(difference) => Err(format!("{ran}{difference}")),
            None => Ok(()),
        }
    }

    fn clear(&self) {
        for database in [HERE, THERE] {
            self.cluster.run(
                database,
                "DO $do$ DECLARE x text; BEGIN \
                   FOR x IN SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname LIKE 'k%' LOOP EXECUTE 'DROP SCHEMA ' || x || ' CASCADE'; END LOOP; \
                   FOR x IN SELECT quote_ident(extname) FROM pg_extension WHERE extname NOT IN ('plpgsql', 'pg_courier') LOOP \
                     EXECUTE 'DROP EXTENSION ' || x || ' CASCADE'; END LOOP; \
                 END $do$",
            );
        }
    }
}
