//! Questions that a session asks again and again: the server plans them a few times instead of each time.

use std::ffi::c_int;
use std::ptr;

use super::Connection;
use super::connection::{c_text, c_texts, pointers};
use crate::error::Result;
use crate::logicalrep::Row;

impl Connection {
    /// The same as [`Connection::query`], prepared when it is asked for the first time. What is prepared stays to the end of the session,
    /// whatever becomes of the transaction.
    pub fn query_kept(&mut self, sql: &'static str, params: &[Option<&str>]) -> Result<Vec<Row>> {
        Ok(self.run_kept(sql, params)?.0)
    }

    /// Returns how many rows it touched.
    pub fn execute_kept(&mut self, sql: &'static str, params: &[Option<&str>]) -> Result<u64> {
        Ok(self.run_kept(sql, params)?.1)
    }

    fn run_kept(&mut self, sql: &'static str, params: &[Option<&str>]) -> Result<(Vec<Row>, u64)> {
        let at = self.kept.iter().position(|kept| ptr::eq(*kept, sql));
        let number = match at {
            Some(at) => at,
            None => {
                self.prepare(self.kept.len(), sql)?;
                self.kept.push(sql);
                self.kept.len() - 1
            }
        };
        self.send_kept(number, params)?;
        self.receive()
    }

    fn prepare(&mut self, number: usize, sql: &str) -> Result<()> {
        let (name, sql) = (c_text(&name(number))?, c_text(sql)?);
        // SAFETY: live connection object without a pipeline; the strings outlive the call, which copies them.
        let sent = unsafe { pq_sys::PQsendPrepare(self.ptr(), name.as_ptr(), sql.as_ptr(), 0, ptr::null()) };
        if sent != 1 {
            return Err(self.loss());
        }
        self.receive().map(drop)
    }

    fn send_kept(&mut self, number: usize, params: &[Option<&str>]) -> Result<()> {
        let name = c_text(&name(number))?;
        let values = c_texts(params)?;
        let pointers = pointers(&values);
        // SAFETY: strings and arrays outlive the call, which copies them; the lengths agree.
        let sent = unsafe {
            pq_sys::PQsendQueryPrepared(
                self.ptr(),
                name.as_ptr(),
                pointers.len() as c_int,
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                0,
            )
        };
        if sent == 1 { Ok(()) } else { Err(self.loss()) }
    }
}

/// No name that the stream gives its statements.
fn name(number: usize) -> String {
    format!("courier_kept_{number}")
}
