//! Pipeline mode: statements are sent without waiting; their outcomes are read when they come.
//!
//! All statements up to a sync are one implicit transaction on the destination. Every command sent ends in one
//! [`PipelineEvent::Done`], every sync in one [`PipelineEvent::Synced`], in the order they were sent.

use std::ffi::{CString, c_char, c_int};
use std::ptr::{self, NonNull};

use pq_sys::{ExecStatusType, Oid};

use super::connection::{Connection, ResultGuard, tuples};
use crate::error::{Error, Result};

/// One parameter of a prepared statement.
#[derive(Clone, Copy)]
pub struct Param<'a> {
    pub value: Option<&'a [u8]>,
    pub binary: bool,
}

#[derive(Debug)]
pub enum PipelineEvent {
    /// A command ended: rows touched, an error, or `None` when it was skipped after an earlier error.
    Done(Option<Result<u64>>),
    /// A sync ended: what was sent before it is committed, or rolled back if a command failed.
    Synced,
}

impl Connection {
    pub fn enter_pipeline(&mut self) -> Result<()> {
        // SAFETY: live connection object, idle.
        if unsafe { pq_sys::PQenterPipelineMode(self.ptr()) } == 1 { Ok(()) } else { Err(self.loss()) }
    }

    /// Back to one command at a time; everything sent must have been answered.
    pub fn leave_pipeline(&mut self) -> Result<()> {
        // SAFETY: live connection object; libpq refuses while answers are outstanding.
        if unsafe { pq_sys::PQexitPipelineMode(self.ptr()) } == 1 { Ok(()) } else { Err(self.loss()) }
    }

    pub fn send_prepare(&mut self, name: &str, sql: &str, types: &[u32]) -> Result<()> {
        let (name, sql) = (c(name)?, c(sql)?);
        let types: Vec<Oid> = types.to_vec();
        // SAFETY: strings and the array outlive the call, which copies them.
        let sent = unsafe {
            pq_sys::PQsendPrepare(self.ptr(), name.as_ptr(), sql.as_ptr(), types.len() as c_int, types.as_ptr())
        };
        self.sent(sent)
    }

    pub fn send_prepared(&mut self, name: &str, params: &[Param<'_>]) -> Result<()> {
        let name = c(name)?;
        let mut values: Vec<*const c_char> = Vec::with_capacity(params.len());
        let mut lengths: Vec<c_int> = Vec::with_capacity(params.len());
        let mut formats: Vec<c_int> = Vec::with_capacity(params.len());
        for param in params {
            debug_assert!(param.binary, "text parameters would need a terminating zero");
            values.push(param.value.map_or(ptr::null(), |v| {
                // An empty slice may dangle; any non-null pointer will do, nothing is read.
                v.as_ptr().cast::<c_char>()
            }));
            lengths.push(param.value.map_or(0, |v| v.len() as c_int));
            formats.push(c_int::from(param.binary));
        }
        // SAFETY: the arrays have the stated length and, like the values, outlive the call, which copies them.
        let sent = unsafe {
            pq_sys::PQsendQueryPrepared(
                self.ptr(),
                name.as_ptr(),
                params.len() as c_int,
                values.as_ptr(),
                lengths.as_ptr(),
                formats.as_ptr(),
                0,
            )
        };
        self.sent(sent)
    }

    /// A statement without parameters inside the pipeline.
    pub fn send_simple(&mut self, sql: &str) -> Result<()> {
        self.send(sql, &[])?;
        self.outstanding += 1;
        Ok(())
    }

    /// Asks the destination to answer what was sent so far, without ending the transaction.
    pub fn send_flush_request(&mut self) -> Result<()> {
        // SAFETY: live connection object in pipeline mode.
        if unsafe { pq_sys::PQsendFlushRequest(self.ptr()) } == 1 { Ok(()) } else { Err(self.loss()) }
    }

    /// Ends the implicit transaction. The data goes out at the next flush.
    pub fn send_sync(&mut self) -> Result<()> {
        // SAFETY: live connection object in pipeline mode.
        let sent = unsafe { pq_sys::PQsendPipelineSync(self.ptr()) };
        self.sent(sent)
    }

    fn sent(&mut self, sent: c_int) -> Result<()> {
        if sent != 1 {
            return Err(self.loss());
        }
        self.outstanding += 1;
        Ok(())
    }

    /// Is anything sent whose end has not been read?
    pub fn is_waiting(&self) -> bool {
        self.outstanding > 0
    }

    /// The next event that has fully arrived; `None` when one has to wait. Never blocks.
    pub fn next_event(&mut self) -> Result<Option<PipelineEvent>> {
        while self.outstanding > 0 {
            // SAFETY: live connection object.
            if unsafe { pq_sys::PQisBusy(self.ptr()) } != 0 {
                return Ok(None);
            }
            // SAFETY: not busy, so this does not block.
            let result = NonNull::new(unsafe { pq_sys::PQgetResult(self.ptr()) }).map(ResultGuard);
            let Some(result) = result else {
                // A null result ends a command; a null without one means that nothing is there.
                let Some(outcome) = self.current.take() else {
                    return if self.is_broken() { Err(self.loss()) } else { Ok(None) };
                };
                self.outstanding -= 1;
                return Ok(Some(PipelineEvent::Done(outcome)));
            };
            // SAFETY: the guard holds a live result.
            match unsafe { pq_sys::PQresultStatus(result.0.as_ptr()) } {
                ExecStatusType::PGRES_PIPELINE_SYNC => {
                    self.outstanding -= 1;
                    return Ok(Some(PipelineEvent::Synced));
                }
                ExecStatusType::PGRES_PIPELINE_ABORTED => self.current = Some(None),
                _ => {
                    let outcome = self.judge(&result).map(|()| tuples(&result));
                    if self.is_broken() {
                        return Err(outcome.err().unwrap_or_else(|| self.loss()));
                    }
                    // Several statements sent as one text have several results; the first error counts.
                    if !matches!(self.current, Some(Some(Err(_)))) {
                        self.current = Some(Some(outcome));
                    }
                }
            }
        }
        Ok(None)
    }

    fn is_broken(&self) -> bool {
        // SAFETY: live connection object.
        unsafe { pq_sys::PQstatus(self.ptr()) == pq_sys::ConnStatusType::CONNECTION_BAD }
    }
}

fn c(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::internal("a statement contains a zero byte"))
}
