//! The connection: every statement succeeds at once, unless the test says otherwise.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::libpq::{Param, Parameters, PipelineEvent, Readiness, WaitFn, Watch};
use crate::logicalrep::Row;

/// What is said, and what comes of it.
#[derive(Default)]
pub struct Script {
    /// The texts of statements that changes are applied with, as often as they were sent; one that is prepared, each time it
    /// runs.
    pub said: Vec<String>,
    /// Questions in between, which have an answer.
    pub asked: Vec<String>,
    /// For questions with this in them. All others have no rows to answer with.
    pub answers: Vec<(&'static str, Vec<Row>)>,
    /// The next statements with this in them fail, one each.
    pub refusals: VecDeque<(&'static str, Error)>,
    /// Answers to statements do not come until somebody waits for them.
    pub is_slow: bool,
}

impl Script {
    /// A row of an answer: names of columns and their values.
    pub fn row(columns: &[(&str, Option<&str>)]) -> Row {
        let values = columns.iter().map(|(_, value)| value.map(str::to_owned)).collect();
        Row::new(values, columns.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    fn say(&mut self, text: &str) -> Option<Error> {
        self.said.push(text.to_owned());
        let refused = self.refusals.front().is_some_and(|(what, _)| text.contains(what));
        if refused { self.refusals.pop_front().map(|(_, error)| error) } else { None }
    }

    fn ask(&mut self, text: &str) -> Vec<Row> {
        self.asked.push(text.to_owned());
        let answer = self.answers.iter().find(|(what, _)| text.contains(what));
        answer.map(|(_, rows)| rows.clone()).unwrap_or_default()
    }
}

pub struct Connection {
    script: Rc<RefCell<Script>>,
    events: VecDeque<PipelineEvent>,
    prepared: HashMap<String, String>,
    is_pipeline: bool,
    /// Has a statement failed since the last sync? Then what follows is skipped.
    has_failed: bool,
    /// The outcome of the COPY under way.
    copy: Option<Result<u64>>,
}

pub fn refuse_shared(_connection: &mut Connection, _parameters: &Parameters, _wait: WaitFn) -> Result<()> {
    Ok(())
}

impl Connection {
    pub(super) fn with(script: Rc<RefCell<Script>>) -> Connection {
        Connection {
            script,
            events: VecDeque::new(),
            prepared: HashMap::new(),
            is_pipeline: false,
            has_failed: false,
            copy: None,
        }
    }

    pub fn open(_parameters: &Parameters, _wait: WaitFn) -> Result<Connection> {
        Ok(Connection::with(Rc::default()))
    }

    pub fn demand_password(&self, _parameters: &Parameters) -> Result<()> {
        Ok(())
    }

    pub fn user(&self) -> String {
        "courier".to_owned()
    }

    pub fn database(&self) -> String {
        "there".to_owned()
    }

    pub fn uses_tls(&self) -> bool {
        true
    }

    pub fn server_version(&self) -> i32 {
        150_000
    }

    // ---- questions ------------------------------------------------------------------------------------------------

    pub fn exec(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.query(sql, &[])
    }

    pub fn query(&mut self, sql: &str, _params: &[Option<&str>]) -> Result<Vec<Row>> {
        assert!(!self.is_pipeline && self.copy.is_none(), "a question in between: {sql}");
        Ok(self.script.borrow_mut().ask(sql))
    }

    pub fn execute(&mut self, sql: &str, params: &[Option<&str>]) -> Result<u64> {
        self.query(sql, params).map(|rows| rows.len() as u64)
    }

    pub fn query_kept(&mut self, sql: &'static str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        self.query(sql, params)
    }

    pub fn execute_kept(&mut self, sql: &'static str, params: &[Option<&str>]) -> Result<u64> {
        self.execute(sql, params)
    }

    pub fn exec_all(&mut self, statements: &str) -> Result<()> {
        assert!(!self.is_pipeline && self.copy.is_none(), "statements in between: {statements}");
        self.script.borrow_mut().say(statements).map_or(Ok(()), Err)
    }

    pub fn rows_of_all(&mut self, statements: &str) -> Result<Vec<Row>> {
        self.exec_all(statements).map(|()| Vec::new())
    }

    // ---- the pipeline ---------------------------------------------------------------------------------------------

    pub fn enter_pipeline(&mut self) -> Result<()> {
        assert!(!std::mem::replace(&mut self.is_pipeline, true) && self.events.is_empty());
        Ok(())
    }

    pub fn leave_pipeline(&mut self) -> Result<()> {
        assert!(std::mem::take(&mut self.is_pipeline) && self.events.is_empty());
        Ok(())
    }

    pub fn send_prepare(&mut self, name: &str, sql: &str, _types: &[u32]) -> Result<()> {
        assert!(self.is_pipeline);
        self.prepared.insert(name.to_owned(), sql.to_owned());
        self.events.push_back(PipelineEvent::Done((!self.has_failed).then_some(Ok(0))));
        Ok(())
    }

    pub fn send_prepared(&mut self, name: &str, _params: &[Param<'_>]) -> Result<()> {
        let sql = self.prepared.get(name).cloned();
        self.send_simple(&sql.unwrap_or_else(|| panic!("statement {name} is not prepared")))
    }

    pub fn send_simple(&mut self, sql: &str) -> Result<()> {
        assert!(self.is_pipeline, "not in a pipeline: {sql}");
        let refusal = self.script.borrow_mut().say(sql).filter(|_| !self.has_failed);
        let outcome = match refusal {
            Some(error) => Some(Err(error)),
            None => (!self.has_failed).then_some(Ok(1)),
        };
        self.has_failed |= matches!(outcome, Some(Err(_)));
        self.events.push_back(PipelineEvent::Done(outcome));
        Ok(())
    }

    pub fn send_flush_request(&mut self) -> Result<()> {
        Ok(())
    }

    pub fn send_sync(&mut self) -> Result<()> {
        assert!(self.is_pipeline);
        self.has_failed = false;
        self.events.push_back(PipelineEvent::Synced);
        Ok(())
    }

    pub fn is_waiting(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn next_event(&mut self) -> Result<Option<PipelineEvent>> {
        Ok(if self.script.borrow().is_slow { None } else { self.events.pop_front() })
    }

    pub fn flush(&mut self) -> Result<bool> {
        Ok(false)
    }

    pub fn consume(&mut self) -> Result<()> {
        Ok(())
    }

    pub fn wait_and_consume(&mut self, _unsent: bool, _timeout: Option<Duration>) -> Result<()> {
        assert!(self.is_waiting(), "a wait that would never end");
        self.script.borrow_mut().is_slow = false;
        Ok(())
    }

    pub fn wait_for_any(connections: &mut [&mut Connection]) -> Result<()> {
        assert!(connections.iter().any(|one| one.is_waiting()), "a wait that would never end");
        connections.iter().for_each(|one| one.script.borrow_mut().is_slow = false);
        Ok(())
    }

    pub fn watch(&mut self) -> Result<Watch> {
        Ok(Watch::new(-1, Readiness::default()))
    }

    pub fn on_stall(&mut self, _after: Duration, _act: Box<dyn FnOnce()>) {}

    // ---- COPY -----------------------------------------------------------------------------------------------------

    pub fn copy_start(&mut self, sql: &str) -> Result<()> {
        self.copy_begin(sql)
    }

    pub fn copy_begin(&mut self, sql: &str) -> Result<()> {
        assert!(!self.is_pipeline && self.copy.is_none(), "a COPY in between: {sql}");
        let refusal = self.script.borrow_mut().say(sql);
        self.copy = Some(refusal.map_or(Ok(0), Err));
        Ok(())
    }

    pub fn copy_queue(&mut self, _data: &[u8]) -> Result<()> {
        assert!(self.copy.is_some(), "data without a COPY");
        Ok(())
    }

    pub fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        self.copy_queue(data)
    }

    pub fn copy_data_within(&mut self, data: &[u8], _within: Duration) -> Result<()> {
        self.copy_queue(data)
    }

    pub fn copy_end(&mut self) -> Result<u64> {
        self.copy.take().unwrap_or_else(|| panic!("the end of a COPY that was not begun"))
    }

    pub fn copy_finish(&mut self) -> Result<()> {
        let outcome = self.copy_end();
        self.events.push_back(PipelineEvent::Done(Some(outcome)));
        Ok(())
    }

    pub fn copy_abandon(&mut self, _reason: &str) {
        self.copy = None;
    }
}
