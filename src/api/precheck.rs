//! `courier.precheck()` and `courier.ignore_precheck()`.

use pgrx::prelude::*;

use super::arguments::{given, given_scope, seen_task};
use crate::catalog::{ConflictPolicy, DdlPolicy, Scope, connection};
use crate::error::Result;
use crate::pg::text::Text;
use crate::pg::{report, xact};
use crate::precheck::{self, Finding, Item, Severity, Subject, gate, ignored};

/// A function that returns what `courier.precheck` returns. (pgrx wants to read the columns in the signature itself.)
macro_rules! returns_findings {
    (fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        #[pg_extern(sql = false)]
        fn $name($($argument: $type),*) -> TableIterator<
            'static,
            (
                name!(category, Text),
                name!(item, Text),
                name!(severity, Text),
                name!(status, Text),
                name!(object, Option<Text>),
                name!(detail, Option<Text>),
                name!(fix, Option<Text>),
                name!(ignorable, bool),
                name!(place, Option<Text>),
            ),
        > {
            let findings: Result<Vec<Finding>> = $body;
            TableIterator::new(report::unwrap(findings).into_iter().map(columns))
        }
    };
}

returns_findings! {
    fn precheck_task(task: Option<Text>) {
        seen_task(task).and_then(|task| gate::run(&Subject::of(&task)))
    }
}

returns_findings! {
    fn precheck_new_task(
        server: Option<Text>,
        include: Option<Vec<Option<Text>>>,
        exclude: Option<Vec<Option<Text>>>,
        schema_sync: Option<bool>,
        full_copy: Option<bool>,
        incremental: Option<bool>,
        ddl: Option<Text>,
    ) {
        subject(server, given_scope(include, exclude, schema_sync, full_copy, incremental), ddl)
            .and_then(|subject| gate::run(&subject))
    }
}

/// A task that does not exist yet.
fn subject(server: Option<Text>, scope: Result<Scope>, ddl: Option<Text>) -> Result<Subject> {
    let scope = scope?;
    let ddl = match ddl {
        Some(text) => DdlPolicy::given(&text)?,
        None => DdlPolicy::of_new(scope.incremental, ConflictPolicy::Error),
    };
    Ok(Subject {
        task: None,
        slot_name: String::new(),
        owner: xact::user_id(),
        server: connection::server_by_name(&given("server", server)?)?,
        scope,
        ddl,
        name: None,
        trusted_roles: [xact::user_id()].into(),
        begun: false,
    })
}

type Columns = (Text, Text, Text, Text, Option<Text>, Option<Text>, Option<Text>, bool, Option<Text>);

fn columns(finding: Finding) -> Columns {
    let Finding { item, status, object, detail, fix, place } = finding;
    let text = |text: Option<String>| text.map(Text::from);
    (
        item.category.into(),
        item.id.into(),
        severity(item),
        status.as_str().into(),
        text(object),
        text(detail),
        text(fix),
        item.ignorable,
        text(place),
    )
}

fn severity(item: &Item) -> Text {
    if item.severity == Severity::Failed { "failed".into() } else { "warning".into() }
}

#[pg_extern(sql = false)]
fn precheck_items() -> TableIterator<
    'static,
    (name!(category, Text), name!(item, Text), name!(severity, Text), name!(ignorable, bool), name!(about, Text)),
> {
    TableIterator::new(
        precheck::all()
            .map(|item| (item.category.into(), item.id.into(), severity(item), item.ignorable, item.about.into())),
    )
}

#[pg_extern(sql = false)]
fn ignore_precheck(task: Option<Text>, item: Option<Text>, reason: Option<Text>) {
    let ignore = || {
        let task = seen_task(task)?;
        ignored::set(&task, &given("item", item)?, reason.as_deref())
    };
    report::unwrap(ignore());
}
