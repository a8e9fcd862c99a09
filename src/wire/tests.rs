//! What the writers' tests share: a table, a transaction, and what a format makes of them.

use super::*;
use crate::logicalrep::Lsn;

const TRANSACTION: Transaction = Transaction {
    xid: 730,
    first_lsn: Lsn::INVALID,
    commit_lsn: Lsn(0x1000),
    end_lsn: Lsn(0x1030),
    commit_time: 848_552_826_250_000,
    change_lsn: Lsn::INVALID,
    is_echo: false,
};
const LSN: Lsn = Lsn(0x0f00);

/// The table `public.t`.
pub struct Sample {
    pub columns: Vec<Option<Column>>,
    pub identity: Identity,
    /// Of the database.
    pub encoding: &'static str,
}

impl Sample {
    pub fn new() -> Sample {
        Sample { columns: Vec::new(), identity: Identity::Nothing, encoding: "UTF8" }
    }
}

pub fn name(plain: &str) -> Name {
    let is_plain = plain.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let quoted = if is_plain { plain.to_owned() } else { format!("\"{}\"", plain.replace('"', "\"\"")) };
    Name { plain: plain.into(), quoted: quoted.into() }
}

pub fn column(plain: &str, type_name: &str, kind: Kind) -> Option<Column> {
    Some(Column { name: name(plain), type_name: type_name.into(), kind, is_domain: false, is_virtual: false })
}

pub fn domain(plain: &str, type_name: &str, kind: Kind) -> Option<Column> {
    column(plain, type_name, kind).map(|column| Column { is_domain: true, ..column })
}

pub fn dropped() -> Option<Column> {
    None
}

/// Plays the server's part.
pub struct Sender<'a> {
    writer: Box<dyn Writer>,
    table: &'a Table,
    prepared: Prepared,
    sent: Vec<Vec<u8>>,
}

impl Sender<'_> {
    fn send(&mut self, write: impl FnOnce(&dyn Writer, &mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&*self.writer, &mut out);
        self.sent.push(out);
    }

    pub fn begin(&mut self) {
        self.send(|writer, out| writer.begin(&TRANSACTION, out));
    }

    pub fn commit(&mut self) {
        self.send(|writer, out| writer.commit(&TRANSACTION, out));
    }

    pub fn change(&mut self, action: Action<'_>) {
        let (table, prepared) = (self.table, self.prepared.clone());
        self.send(|writer, out| writer.change(&RowChange { lsn: LSN, table, prepared: &prepared, action }, out));
    }

    pub fn truncate(&mut self, restart_identity: bool, cascade: bool) {
        let tables = &[self.table];
        self.send(|writer, out| writer.truncate(&Truncate { lsn: LSN, tables, cascade, restart_identity }, out));
    }

    pub fn message(&mut self, transactional: bool, content: Content<'_>) {
        let size = match content {
            Content::Text(bytes) | Content::Bytes(bytes) => bytes.len(),
        };
        let message = LogicalMessage { lsn: LSN, transactional, prefix: b"app", content, size };
        self.send(|writer, out| writer.message(&message, out));
    }
}

/// What a format sends, nothing as empty messages.
pub fn messages(
    format: &Format,
    options: &[(&str, &str)],
    sample: &Sample,
    play: impl FnOnce(&mut Sender<'_>),
) -> Vec<Vec<u8>> {
    let mut given = vec![("format".to_owned(), Some(format.name.to_owned()))];
    given.extend(options.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))));
    let database = Database { encoding: sample.encoding, is_encoding: &|name| name == sample.encoding };
    let (_, settings) = choose(&given, &database).expect("good options").expect("a format");
    let writer = (format.writer)(&settings);
    let table = Table {
        schema: name("public"),
        name: name("t"),
        columns: sample.columns.clone(),
        identity: sample.identity.clone(),
    };
    let prepared = writer.prepare(&table);
    let mut sender = Sender { writer, table: &table, prepared, sent: Vec::new() };
    play(&mut sender);
    sender.sent
}

/// As text.
pub fn lines(
    format: &Format,
    options: &[(&str, &str)],
    sample: &Sample,
    play: impl FnOnce(&mut Sender<'_>),
) -> Vec<String> {
    let messages = messages(format, options, sample, play);
    messages.into_iter().map(|message| String::from_utf8(message).expect("text")).collect()
}

#[test]
fn names_of_formats_are_unique() {
    for (number, format) in FORMATS.iter().enumerate() {
        assert!(FORMATS[..number].iter().all(|other| other.name != format.name), "{}", format.name);
    }
}
