//! A destination that lies: a wire that reads the answers of the server behind it and changes them.
//!
//! It speaks the protocol just enough: rows of answers (`T`, `D`, `C`) go through a function, everything else passes.
//! Encryption is refused, so a client must not insist on it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

pub type Values = Vec<Option<String>>;

/// What the destination says, given the names of an answer's columns.
pub trait Lies: Send + Sync + 'static {
    /// Instead of a row.
    fn row(&self, _columns: &[String], row: Values) -> Values {
        row
    }

    /// Rows behind the last one.
    fn more(&self, _columns: &[String]) -> Box<dyn Iterator<Item = Values>> {
        Box::new(std::iter::empty())
    }
}

/// Listens on a free port, which it returns, and connects whoever comes to the target's port, for as long as the test runs.
pub fn listen(target: u16, lies: impl Lies) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let lies = Arc::new(lies);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let lies = Arc::clone(&lies);
            std::thread::spawn(move || serve(client, target, &*lies));
        }
    });
    port
}

fn serve(mut client: TcpStream, target: u16, lies: &dyn Lies) -> Option<()> {
    const SSL_REQUEST: u32 = 80_877_103;
    const GSSENC_REQUEST: u32 = 80_877_104;
    let startup = loop {
        let mut length = [0; 4];
        client.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        client.read_exact(&mut body).ok()?;
        let code = u32::from_be_bytes(body.get(..4)?.try_into().ok()?);
        if code != SSL_REQUEST && code != GSSENC_REQUEST {
            break [length.to_vec(), body].concat();
        }
        client.write_all(b"N").ok()?;
    };
    let mut server = TcpStream::connect(("127.0.0.1", target)).ok()?;
    server.write_all(&startup).ok()?;
    let (mut up_from, mut up_to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut up_from, &mut up_to);
        let _ = up_to.shutdown(Shutdown::Both);
    });
    answer(&mut server, &mut client, lies);
    let _ = client.shutdown(Shutdown::Both);
    Some(())
}

fn answer(server: &mut TcpStream, client: &mut TcpStream, lies: &dyn Lies) -> Option<()> {
    let mut columns = Vec::new();
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head).ok()?;
        let mut body = vec![0; u32::from_be_bytes(head[1..].try_into().ok()?) as usize - 4];
        server.read_exact(&mut body).ok()?;
        match head[0] {
            b'T' => columns = names(&body)?,
            b'D' if !columns.is_empty() => {
                client.write_all(&data_row(&lies.row(&columns, values(&body)?))).ok()?;
                continue;
            }
            b'C' if !columns.is_empty() => {
                for row in lies.more(&columns) {
                    client.write_all(&data_row(&row)).ok()?;
                }
                columns.clear();
            }
            _ => {}
        }
        client.write_all(&[&head[..], &body].concat()).ok()?;
    }
}

/// The columns of a RowDescription.
fn names(body: &[u8]) -> Option<Vec<String>> {
    const AFTER_NAME: usize = 18;
    let count = u16::from_be_bytes(body.get(..2)?.try_into().ok()?);
    let mut rest = &body[2..];
    let mut names = Vec::new();
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == 0)?;
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = rest.get(end + 1 + AFTER_NAME..)?;
    }
    Some(names)
}

fn values(body: &[u8]) -> Option<Values> {
    let count = u16::from_be_bytes(body.get(..2)?.try_into().ok()?);
    let mut rest = &body[2..];
    let mut values = Vec::new();
    for _ in 0..count {
        let length = i32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        rest = &rest[4..];
        let value = usize::try_from(length).ok().map(|length| String::from_utf8_lossy(&rest[..length]).into_owned());
        rest = &rest[value.as_ref().map_or(0, |_| length as usize)..];
        values.push(value);
    }
    Some(values)
}

fn data_row(values: &[Option<String>]) -> Vec<u8> {
    let mut body = (values.len() as u16).to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend((-1i32).to_be_bytes()),
            Some(text) => {
                body.extend((text.len() as u32).to_be_bytes());
                body.extend(text.as_bytes());
            }
        }
    }
    let mut message = vec![b'D'];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    message
}
