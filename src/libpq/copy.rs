//! COPY FROM STDIN.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::time::{Duration, Instant};

use pq_sys::ExecStatusType;

use super::Connection;
use crate::error::{Error, Result, sqlstate};

/// Above this many bytes a piece goes to libpq in parts, so that its buffer stays small.
const PIECE: usize = 1 << 20;

impl Connection {
    /// Starts a COPY; `sql` is the COPY ... FROM STDIN statement.
    pub fn copy_start(&mut self, sql: &str) -> Result<()> {
        self.send(sql, &[])?;
        let result = self.get_result()?.ok_or_else(|| self.loss())?;
        // SAFETY: the guard holds a live result.
        if unsafe { pq_sys::PQresultStatus(result.0.as_ptr()) } == ExecStatusType::PGRES_COPY_IN {
            return Ok(());
        }
        let verdict = self.judge(&result);
        while self.get_result()?.is_some() {}
        verdict?;
        Err(Error::internal("the destination did not start COPY"))
    }

    /// Sends data, waiting while the destination is slower than we are.
    pub fn copy_data(&mut self, data: &[u8]) -> Result<()> {
        for piece in data.chunks(PIECE) {
            loop {
                // SAFETY: the slice is valid for its length; libpq copies it.
                let sent =
                    unsafe { pq_sys::PQputCopyData(self.ptr(), piece.as_ptr().cast::<c_char>(), piece.len() as c_int) };
                match sent {
                    1 => break,
                    0 => self.drain()?,
                    _ => return Err(self.copy_failure()),
                }
            }
            // Nothing is gained by letting libpq pile up more than one piece.
            self.drain()?;
        }
        Ok(())
    }

    /// As `copy_data`, but the destination has to take the data within this time.
    pub fn copy_data_within(&mut self, data: &[u8], within: Duration) -> Result<()> {
        let begin = Instant::now();
        for piece in data.chunks(PIECE) {
            self.copy_queue(piece)?;
            while self.flush()? {
                let left = within.saturating_sub(begin.elapsed());
                if left.is_zero() {
                    return Err(Error::new(sqlstate::QUERY_CANCELED, "the destination does not take data"));
                }
                self.wait_and_consume(true, Some(left))?;
            }
        }
        Ok(())
    }

    /// Ends the COPY and returns how many rows the destination took.
    pub fn copy_end(&mut self) -> Result<u64> {
        self.put_copy_end()?;
        let mut outcome = Ok(0);
        while let Some(result) = self.get_result()? {
            if outcome.is_ok() {
                outcome = self.judge(&result).map(|()| super::connection::tuples(&result));
            }
        }
        outcome
    }

    fn put_copy_end(&mut self) -> Result<()> {
        loop {
            // SAFETY: live connection object; a null message means success.
            match unsafe { pq_sys::PQputCopyEnd(self.ptr(), ptr::null()) } {
                1 => return Ok(()),
                0 => self.drain()?,
                _ => return Err(self.copy_failure()),
            }
        }
    }

    /// Lets the COPY fail, as far as the destination listens; the connection is to be closed.
    pub fn copy_abandon(&mut self, reason: &str) {
        if let Ok(reason) = super::connection::c_text(reason) {
            // SAFETY: live connection object; libpq copies the text. Whatever it answers, closing has the same effect.
            unsafe {
                pq_sys::PQputCopyEnd(self.ptr(), reason.as_ptr());
                pq_sys::PQflush(self.ptr());
            }
        }
    }

    /// Starts statements of which one is COPY ... FROM STDIN, and waits until that one takes data. Those behind it run
    /// when its data has ended.
    pub fn copy_begin(&mut self, sql: &str) -> Result<()> {
        let text = super::connection::c_text(sql)?;
        // SAFETY: live connection object, no pipeline; libpq copies the text.
        if unsafe { pq_sys::PQsendQuery(self.ptr(), text.as_ptr()) } != 1 {
            return Err(self.loss());
        }
        loop {
            let result = self.get_result()?.ok_or_else(|| Error::internal("the destination did not start COPY"))?;
            // SAFETY: the guard holds a live result.
            if unsafe { pq_sys::PQresultStatus(result.0.as_ptr()) } == ExecStatusType::PGRES_COPY_IN {
                return Ok(());
            }
            if let Err(error) = self.judge(&result) {
                while self.get_result()?.is_some() {}
                return Err(error);
            }
        }
    }

    /// Hands data to libpq, which keeps what the socket does not take.
    pub fn copy_queue(&mut self, data: &[u8]) -> Result<()> {
        loop {
            // SAFETY: the slice is valid for its length; libpq copies it.
            let sent =
                unsafe { pq_sys::PQputCopyData(self.ptr(), data.as_ptr().cast::<c_char>(), data.len() as c_int) };
            match sent {
                1 => return Ok(()),
                0 => self.drain()?,
                _ => return Err(self.copy_failure()),
            }
        }
    }

    /// Ends the data. The outcome of all the statements comes as one event.
    pub fn copy_finish(&mut self) -> Result<()> {
        self.put_copy_end()?;
        self.outstanding += 1;
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while self.flush()? {
            self.wait_and_consume(true, None)?;
        }
        Ok(())
    }

    /// The server may have ended the COPY with an error of its own, which says more than "connection lost".
    fn copy_failure(&mut self) -> Error {
        match self.get_result() {
            Ok(Some(result)) => self.judge(&result).err().unwrap_or_else(|| self.loss()),
            Ok(None) => self.loss(),
            Err(error) => error,
        }
    }
}
