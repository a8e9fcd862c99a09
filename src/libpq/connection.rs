//! One connection: opening it, plain statements, errors with all their fields.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pq_sys::{
    ConnStatusType, ExecStatusType, PGTransactionStatusType, PGVerbosity, PGconn, PGpipelineStatus, PGresult,
    PostgresPollingStatusType,
};

use super::{Parameters, Readiness, WaitFn, Watch, refusal};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Row;

/// How long one attempt to connect may take when `connect_timeout` says nothing else.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of the rows of one answer: the largest that is asked for lists the tables of a database.
const LARGEST_ANSWER: usize = 128 << 20;
/// Bytes of a field of an error that are kept.
const LARGEST_FIELD: usize = 8 << 10;

pub struct Connection {
    pub(super) conn: NonNull<PGconn>,
    pub(super) wait: WaitFn,
    /// Commands and syncs sent in pipeline mode whose end has not been read.
    pub(super) outstanding: usize,
    /// In pipeline mode: the outcome of the command whose end has not come yet, none if it was skipped.
    pub(super) current: Option<Option<Result<u64>>>,
    stall: Option<Stall>,
    /// Since when a wait has been in vain.
    waits_since: Option<Instant>,
    /// The server session outlives the connection, so nothing of ours may stay in it.
    discard: bool,
    /// What is prepared there: see [`Connection::query_kept`].
    pub(super) kept: Vec<&'static str>,
}

/// What to do, once, when a wait has been in vain for so long.
struct Stall {
    after: Duration,
    act: Box<dyn FnOnce()>,
}

/// Frees a result when it goes out of scope.
pub(super) struct ResultGuard(pub(super) NonNull<PGresult>);

impl Drop for ResultGuard {
    fn drop(&mut self) {
        // SAFETY: the guard owns the result; PQclear cannot fail.
        unsafe { pq_sys::PQclear(self.0.as_ptr()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.discard {
            self.discard_all();
        }
        // SAFETY: `conn` is owned and not used after this; PQfinish cannot fail.
        unsafe { pq_sys::PQfinish(self.conn.as_ptr()) }
    }
}

/// libpq would print notices to the server's standard error; a destination's chatter does not belong there.
unsafe extern "C" fn ignore_notice(_arg: *mut std::ffi::c_void, _result: *const PGresult) {}

impl Connection {
    /// Connects without blocking the process: signals and shutdown end the wait.
    /// (Resolving a host name is the one step libpq does in one go; `hostaddr` avoids it.)
    pub fn open(parameters: &Parameters, wait: WaitFn) -> Result<Connection> {
        parameters.check_files()?;
        let (keywords, values) = parameters.to_c()?;
        let pointers =
            |list: &[CString]| -> Vec<*const c_char> { list.iter().map(|c| c.as_ptr()).chain([ptr::null()]).collect() };
        let (keyword_pointers, value_pointers) = (pointers(&keywords), pointers(&values));
        // SAFETY: both arrays end with a null pointer and outlive the call, which copies what it keeps.
        let conn = unsafe { pq_sys::PQconnectStartParams(keyword_pointers.as_ptr(), value_pointers.as_ptr(), 0) };
        let conn = NonNull::new(conn).ok_or_else(|| Error::new("53200", "out of memory"))?;
        let mut connection = Connection {
            conn,
            wait,
            outstanding: 0,
            current: None,
            stall: None,
            waits_since: None,
            discard: false,
            kept: Vec::new(),
        };
        // SAFETY: live connection object. Only while connecting: then it is the one way to a SQLSTATE.
        unsafe { pq_sys::PQsetErrorVerbosity(connection.ptr(), PGVerbosity::PQERRORS_VERBOSE) };
        connection.finish_connecting(parameters)?;
        // SAFETY: the connection is open; the receiver is a function that keeps nothing.
        unsafe {
            pq_sys::PQsetErrorVerbosity(connection.ptr(), PGVerbosity::PQERRORS_DEFAULT);
            pq_sys::PQsetNoticeReceiver(connection.ptr(), Some(ignore_notice), ptr::null_mut());
            if pq_sys::PQsetnonblocking(connection.ptr(), 1) != 0 {
                return Err(connection.loss());
            }
        }
        Ok(connection)
    }

    fn finish_connecting(&mut self, parameters: &Parameters) -> Result<()> {
        let seconds = parameters.get("connect_timeout").and_then(|t| t.trim().parse::<u64>().ok()).filter(|s| *s > 0);
        let limit = seconds.map_or(CONNECT_TIMEOUT, Duration::from_secs);
        let deadline = Instant::now() + limit;
        // The documented start: wait as if the last poll had said "writing".
        let mut interest = Readiness { read: false, write: true };
        loop {
            // SAFETY: `conn` is a live connection object throughout.
            if unsafe { pq_sys::PQstatus(self.ptr()) } == ConnStatusType::CONNECTION_BAD {
                return Err(self.refusal(parameters));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::new(sqlstate::UNABLE_TO_CONNECT, "could not connect to the destination: timeout")
                    .origin(Origin::Connection)
                    .detail(format!("Tried {} for {} s.", parameters.describe(), limit.as_secs()))
                    .hint("Check that the server runs and that no firewall drops the packets."));
            }
            let mut watch = [Watch::new(self.socket()?, interest)];
            (self.wait)(&mut watch, Some(left));
            if watch[0].ready == Readiness::default() {
                continue;
            }
            // SAFETY: as above.
            interest = match unsafe { pq_sys::PQconnectPoll(self.ptr()) } {
                PostgresPollingStatusType::PGRES_POLLING_OK => return Ok(()),
                PostgresPollingStatusType::PGRES_POLLING_READING => Readiness { read: true, write: false },
                PostgresPollingStatusType::PGRES_POLLING_WRITING => Readiness { read: false, write: true },
                PostgresPollingStatusType::PGRES_POLLING_FAILED => return Err(self.refusal(parameters)),
                PostgresPollingStatusType::PGRES_POLLING_ACTIVE => interest,
            };
        }
    }

    pub(super) fn ptr(&self) -> *mut PGconn {
        self.conn.as_ptr()
    }

    pub fn socket(&self) -> Result<i32> {
        // SAFETY: live connection object.
        let socket = unsafe { pq_sys::PQsocket(self.ptr()) };
        if socket < 0 { Err(self.loss()) } else { Ok(socket) }
    }

    /// libpq's message for the connection; it holds no password.
    fn message(&self) -> String {
        // SAFETY: PQerrorMessage returns a string owned by the live connection.
        let text = unsafe { text(pq_sys::PQerrorMessage(self.ptr())) };
        shortened(text.trim().to_owned())
    }

    fn refusal(&self, parameters: &Parameters) -> Error {
        // SAFETY: live connection object.
        let password_missing = unsafe { pq_sys::PQconnectionNeedsPassword(self.ptr()) != 0 };
        refusal::error(parameters, &self.message(), password_missing)
    }

    /// Refuses a session for which the destination did not want the password of the user mapping.
    pub fn demand_password(&self, parameters: &Parameters) -> Result<()> {
        // SAFETY: live connection object.
        let asked = unsafe { pq_sys::PQconnectionUsedPassword(self.ptr()) != 0 };
        if asked { Ok(()) } else { Err(refusal::not_asked(parameters, "")) }
    }

    /// The connection broke while in use.
    pub(super) fn loss(&self) -> Error {
        Error::connection("lost the connection to the destination").detail(self.message())
    }

    /// The server process as the destination named it for canceling.
    pub(super) fn backend_pid(&self) -> i32 {
        // SAFETY: live connection object.
        unsafe { pq_sys::PQbackendPID(self.ptr()) }
    }

    /// From now on the end of the connection undoes what it has set.
    pub(super) fn discard_at_end(&mut self) {
        self.discard = true;
    }

    /// A pooler ends a session that still works instead of giving it to somebody else, so sending is enough.
    fn discard_all(&mut self) {
        // SAFETY: live connection object and a C string; nothing waits.
        unsafe {
            if pq_sys::PQstatus(self.ptr()) == ConnStatusType::CONNECTION_OK
                && pq_sys::PQtransactionStatus(self.ptr()) == PGTransactionStatusType::PQTRANS_IDLE
                && pq_sys::PQpipelineStatus(self.ptr()) == PGpipelineStatus::PQ_PIPELINE_OFF
                && pq_sys::PQsendQuery(self.ptr(), c"DISCARD ALL".as_ptr()) == 1
            {
                pq_sys::PQflush(self.ptr());
            }
        }
    }

    /// Who has logged in, and into which database.
    pub fn user(&self) -> String {
        // SAFETY: live connection object, which owns the string.
        unsafe { text(pq_sys::PQuser(self.ptr())) }
    }

    pub fn database(&self) -> String {
        // SAFETY: as above.
        unsafe { text(pq_sys::PQdb(self.ptr())) }
    }

    pub fn uses_tls(&self) -> bool {
        // SAFETY: live connection object.
        unsafe { pq_sys::PQsslInUse(self.ptr()) != 0 }
    }

    /// Version number of the destination, as `server_version_num` has it.
    pub fn server_version(&self) -> i32 {
        // SAFETY: live connection object.
        unsafe { pq_sys::PQserverVersion(self.ptr()) }
    }

    /// Runs one statement without parameters; returns its rows.
    pub fn exec(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.query(sql, &[])
    }

    /// The same with a limit; `None` when it was over first, and then the statement still runs.
    pub(super) fn exec_within(&mut self, sql: &str, limit: Duration) -> Result<Option<Vec<Row>>> {
        self.send(sql, &[])?;
        let deadline = Instant::now() + limit;
        loop {
            let unsent = self.flush()?;
            // SAFETY: live connection object.
            if unsafe { pq_sys::PQisBusy(self.ptr()) } == 0 {
                return self.receive().map(|(rows, _)| Some(rows));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.wait_and_consume(unsent, Some(left))?;
        }
    }

    /// Runs one statement with text parameters and waits for it.
    pub fn query(&mut self, sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        Ok(self.run(sql, params)?.0)
    }

    /// Runs one statement; returns how many rows it touched.
    pub fn execute(&mut self, sql: &str, params: &[Option<&str>]) -> Result<u64> {
        Ok(self.run(sql, params)?.1)
    }

    /// Runs several statements as one message and waits for all of them; their rows are passed over.
    pub fn exec_all(&mut self, statements: &str) -> Result<()> {
        self.send_all(statements)?;
        let mut outcome = Ok(());
        while let Some(result) = self.get_result()? {
            outcome = outcome.and_then(|()| self.judge(&result));
        }
        outcome
    }

    /// The same; returns the rows of all of them together.
    pub fn rows_of_all(&mut self, statements: &str) -> Result<Vec<Row>> {
        self.send_all(statements)?;
        Ok(self.receive()?.0)
    }

    fn send_all(&mut self, statements: &str) -> Result<()> {
        let text = c_text(statements)?;
        // SAFETY: live connection object, no pipeline; libpq copies the text.
        if unsafe { pq_sys::PQsendQuery(self.ptr(), text.as_ptr()) } == 1 { Ok(()) } else { Err(self.loss()) }
    }

    fn run(&mut self, sql: &str, params: &[Option<&str>]) -> Result<(Vec<Row>, u64)> {
        self.send(sql, params)?;
        self.receive()
    }

    /// The outcome of the statement that was just sent.
    pub(super) fn receive(&mut self) -> Result<(Vec<Row>, u64)> {
        // Row by row, so that an answer without end is noticed before it fills the memory. SAFETY: live connection object,
        // a statement was just sent.
        unsafe { pq_sys::PQsetSingleRowMode(self.ptr()) };
        let mut outcome = Ok((Vec::new(), 0));
        let mut bytes = 0;
        while let Some(result) = self.get_result()? {
            // The first error counts; libpq may add a second result after it.
            let Ok((taken, count)) = &mut outcome else { continue };
            if let Err(error) = self.judge(&result) {
                outcome = Err(error);
                continue;
            }
            let more = rows(&result);
            bytes += more.iter().map(Row::bytes).sum::<usize>();
            if bytes > LARGEST_ANSWER {
                // The rest is not read: whoever gets this closes the connection.
                return Err(Error::new("54000", "an answer of the destination is too large")
                    .origin(Origin::Destination)
                    .detail(format!("It has more than {} MB.", LARGEST_ANSWER >> 20)));
            }
            taken.extend(more);
            *count = tuples(&result);
        }
        outcome
    }

    pub(super) fn send(&mut self, sql: &str, params: &[Option<&str>]) -> Result<()> {
        let sql = c_text(sql)?;
        let values = c_texts(params)?;
        let pointers = pointers(&values);
        // SAFETY: strings and arrays outlive the call, which copies them; the lengths agree.
        let sent = unsafe {
            pq_sys::PQsendQueryParams(
                self.ptr(),
                sql.as_ptr(),
                pointers.len() as c_int,
                ptr::null(),
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            )
        };
        if sent == 1 { Ok(()) } else { Err(self.loss()) }
    }

    /// The next result of the statement under way, waiting for it; `None` at its end.
    pub(super) fn get_result(&mut self) -> Result<Option<ResultGuard>> {
        loop {
            let unsent = self.flush()?;
            // SAFETY: live connection object.
            if unsafe { pq_sys::PQisBusy(self.ptr()) } == 0 {
                break;
            }
            self.wait_and_consume(unsent, None)?;
        }
        // SAFETY: not busy, so this does not block.
        let result = unsafe { pq_sys::PQgetResult(self.ptr()) };
        Ok(NonNull::new(result).map(ResultGuard))
    }

    /// Sends what the socket takes; true while something is left.
    pub fn flush(&mut self) -> Result<bool> {
        // SAFETY: live connection object.
        match unsafe { pq_sys::PQflush(self.ptr()) } {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.loss()),
        }
    }

    /// Waits for the destination (or the time, or a nudge), then reads what has come.
    pub fn wait_and_consume(&mut self, unsent: bool, timeout: Option<Duration>) -> Result<()> {
        let mut watch = [Watch::new(self.socket()?, Readiness { read: true, write: unsent })];
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let until_stall = self.stall.as_ref().map(|stall| stall.after.saturating_sub(since.elapsed()));
        (self.wait)(&mut watch, timeout.into_iter().chain(until_stall).min());
        if watch[0].ready.read || watch[0].ready.write {
            self.waits_since = None;
        } else if let Some(stall) = self.stall.take_if(|stall| since.elapsed() >= stall.after) {
            (stall.act)();
        }
        if watch[0].ready.read { self.consume() } else { Ok(()) }
    }

    /// Something that may be what the destination waits for, and `act` ends it: a wait must not last longer than this.
    pub fn on_stall(&mut self, after: Duration, act: Box<dyn FnOnce()>) {
        self.stall = Some(Stall { after, act });
    }

    /// Sends what the sockets take, then waits until one of them has or takes more, and reads that.
    pub fn wait_for_any(connections: &mut [&mut Connection]) -> Result<()> {
        let mut watches = connections.iter_mut().map(|connection| connection.watch()).collect::<Result<Vec<_>>>()?;
        let Some(first) = connections.first() else { return Ok(()) };
        (first.wait)(&mut watches, None);
        let mut ready = connections.iter_mut().zip(&watches).filter(|(_, watch)| watch.ready.read);
        ready.try_for_each(|(connection, _)| connection.consume())
    }

    /// Sends what the socket takes; what to wait for next. Readable while idle means that the destination has ended the
    /// connection.
    pub fn watch(&mut self) -> Result<Watch> {
        let write = self.flush()?;
        Ok(Watch::new(self.socket()?, Readiness { read: true, write }))
    }

    /// Reads what has arrived, without waiting.
    pub fn consume(&mut self) -> Result<()> {
        // SAFETY: live connection object.
        if unsafe { pq_sys::PQconsumeInput(self.ptr()) } == 1 { Ok(()) } else { Err(self.loss()) }
    }

    /// Turns a failed result into an error with the fields the server sent.
    pub(super) fn judge(&self, result: &ResultGuard) -> Result<()> {
        // SAFETY: the guard holds a live result.
        let status = unsafe { pq_sys::PQresultStatus(result.0.as_ptr()) };
        match status {
            ExecStatusType::PGRES_FATAL_ERROR | ExecStatusType::PGRES_BAD_RESPONSE => Err(self.server_error(result)),
            _ => Ok(()),
        }
    }

    fn server_error(&self, result: &ResultGuard) -> Error {
        let field = |code: u8| -> Option<String> {
            // SAFETY: the guard holds a live result; the string belongs to it and is copied here.
            let pointer = unsafe { pq_sys::PQresultErrorField(result.0.as_ptr(), c_int::from(code)) };
            // SAFETY: null or a C string, as libpq documents.
            (!pointer.is_null()).then(|| unsafe { text(pointer) }).map(shortened)
        };
        // Codes of the protocol's error fields: C SQLSTATE, M message, D detail, H hint, W context, s/t/n names.
        let Some(state) = field(b'C') else {
            return self.loss();
        };
        let mut error = Error::new(&state, field(b'M').unwrap_or_default()).origin(Origin::Destination);
        if let Some(detail) = field(b'D') {
            error = error.detail(detail);
        }
        if let Some(hint) = field(b'H') {
            // Not ours: a hint of ours is SQL to run here.
            error = error.hint(format!("The destination says: {hint}"));
        }
        error = error.constraint(field(b'n')).routine(field(b'R'));
        let name = |label: &str, code: u8| field(code).map(|n| format!("{label} \"{n}\""));
        let names: Vec<String> =
            [name("schema", b's'), name("table", b't'), name("constraint", b'n')].into_iter().flatten().collect();
        if names.is_empty() { error } else { error.context(format!("On the destination: {}.", names.join(", "))) }
    }
}

pub(super) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::internal("a statement or parameter contains a zero byte"))
}

pub(super) fn c_texts(params: &[Option<&str>]) -> Result<Vec<Option<CString>>> {
    params.iter().map(|p| p.map(c_text).transpose()).collect()
}

/// They live as long as the values.
pub(super) fn pointers(values: &[Option<CString>]) -> Vec<*const c_char> {
    values.iter().map(|v| v.as_ref().map_or(ptr::null(), |v| v.as_ptr())).collect()
}

/// Copies a C string.
///
/// # Safety
/// `pointer` must be a valid C string.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: by contract of this function.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Whoever answers there may say any length of things.
fn shortened(mut text: String) -> String {
    if text.len() > LARGEST_FIELD {
        let end = (0..=LARGEST_FIELD).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

fn rows(result: &ResultGuard) -> Vec<Row> {
    let result = result.0.as_ptr();
    // SAFETY: the result is live and row and column stay below the counts libpq reports; values are C strings.
    unsafe {
        let (rows, columns) = (pq_sys::PQntuples(result), pq_sys::PQnfields(result));
        let value = |row, column| {
            (pq_sys::PQgetisnull(result, row, column) == 0).then(|| text(pq_sys::PQgetvalue(result, row, column)))
        };
        if rows == 0 {
            return Vec::new();
        }
        let names: Rc<[String]> = (0..columns).map(|column| text(pq_sys::PQfname(result, column))).collect();
        (0..rows).map(|row| Row::new((0..columns).map(|column| value(row, column)).collect(), names.clone())).collect()
    }
}

/// Rows touched, from the command tag; 0 for commands without a count.
pub(super) fn tuples(result: &ResultGuard) -> u64 {
    // SAFETY: the result is live; libpq returns a C string that belongs to it.
    unsafe { text(pq_sys::PQcmdTuples(result.0.as_ptr())) }.parse().unwrap_or(0)
}
