//! A reader of the format, written from its description and sharing nothing with the encoder.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Begin { flags: u32, final_lsn: u64, commit_time: i64, xid: u32 },
    Commit { flags: u32, commit_lsn: u64, end_lsn: u64, commit_time: i64 },
    Insert { relation: Relation, new: Vec<Value> },
    Update { relation: Relation, old: Option<Vec<Value>>, new: Vec<Value> },
    Delete { relation: Relation, old: Option<Vec<Value>> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    pub schema: Vec<u8>,
    pub table: Vec<u8>,
    /// None for a dropped attribute.
    pub attributes: Vec<Option<Attribute>>,
    pub key: Option<Vec<Vec<u8>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub quoted_name: Vec<u8>,
    pub type_name: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Unchanged,
    Text(Vec<u8>),
}

/// What is wrong, and how many bytes were left.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str, pub usize);

type Read<T> = Result<T, Malformed>;

/// One message and nothing after it.
pub fn parse(bytes: &[u8]) -> Read<Message> {
    let mut reader = Reader(bytes);
    let message = reader.message()?;
    match reader.0.len() {
        0 => Ok(message),
        left => Err(Malformed("bytes behind the message", left)),
    }
}

/// Messages with one byte after each, as pg_recvlogical writes them.
pub fn parse_lines(mut bytes: &[u8]) -> Read<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let mut reader = Reader(bytes);
        reader.message()?;
        let length = bytes.len() - reader.0.len();
        reader.expect(b'\n', "no newline after a message")?;
        messages.push(bytes[..length].to_vec());
        bytes = reader.0;
    }
    Ok(messages)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        if self.0.len() < length {
            return Err(Malformed("cut short", self.0.len()));
        }
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Read<()> {
        if self.byte()? == byte { Ok(()) } else { self.wrong(otherwise) }
    }

    fn wrong<T>(&self, what: &'static str) -> Read<T> {
        Err(Malformed(what, self.0.len()))
    }

    fn number(&mut self, bytes: usize) -> Read<u64> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn int16(&mut self) -> Read<usize> {
        match self.number(2)? {
            number if number <= i16::MAX as u64 => Ok(number as usize),
            _ => self.wrong("a negative int16"),
        }
    }

    fn int32(&mut self) -> Read<usize> {
        match self.number(4)? {
            number if number <= i32::MAX as u64 => Ok(number as usize),
            _ => self.wrong("a negative int32"),
        }
    }

    fn terminated(&mut self, length: usize) -> Read<Vec<u8>> {
        match self.take(length)? {
            [text @ .., 0] if !text.contains(&0) => Ok(text.to_vec()),
            _ => self.wrong("a text without one NUL at its end"),
        }
    }

    fn string(&mut self) -> Read<Vec<u8>> {
        let length = self.int16()?;
        self.terminated(length)
    }

    fn message(&mut self) -> Read<Message> {
        match self.byte()? {
            b'B' => Ok(Message::Begin {
                flags: self.number(4)? as u32,
                final_lsn: self.number(8)?,
                commit_time: self.number(8)? as i64,
                xid: self.number(4)? as u32,
            }),
            b'C' => Ok(Message::Commit {
                flags: self.number(4)? as u32,
                commit_lsn: self.number(8)?,
                end_lsn: self.number(8)?,
                commit_time: self.number(8)? as i64,
            }),
            b'I' => {
                let relation = self.relation()?;
                self.expect(b'N', "no new row in an INSERT")?;
                let new = self.tuple(&relation)?;
                Ok(Message::Insert { relation, new })
            }
            b'U' => {
                let relation = self.relation()?;
                let mut kind = self.byte()?;
                let mut old = None;
                if kind == b'K' {
                    old = Some(self.tuple(&relation)?);
                    kind = self.byte()?;
                }
                if kind != b'N' {
                    return self.wrong("no new row in an UPDATE");
                }
                let new = self.tuple(&relation)?;
                Ok(Message::Update { relation, old, new })
            }
            b'D' => {
                let relation = self.relation()?;
                let old = match self.byte()? {
                    b'K' => Some(self.tuple(&relation)?),
                    b'E' => None,
                    _ => return self.wrong("neither an old row nor its absence in a DELETE"),
                };
                Ok(Message::Delete { relation, old })
            }
            _ => self.wrong("an unknown kind of message"),
        }
    }

    fn relation(&mut self) -> Read<Relation> {
        let schema = self.string()?;
        let table = self.string()?;
        self.expect(b'C', "no columns")?;
        let mut attributes = Vec::new();
        for _ in 0..self.int16()? {
            attributes.push(self.attribute()?);
        }
        let key = match self.byte()? {
            b'P' => None,
            b'M' => {
                let mut columns = Vec::new();
                for _ in 0..self.int16()? {
                    columns.push(self.string()?);
                }
                Some(columns)
            }
            _ => return self.wrong("no key block"),
        };
        Ok(Relation { schema, table, attributes, key })
    }

    fn attribute(&mut self) -> Read<Option<Attribute>> {
        let length = self.int16()?;
        if length == 0 {
            return Ok(None);
        }
        Ok(Some(Attribute { quoted_name: self.terminated(length)?, type_name: self.string()? }))
    }

    fn tuple(&mut self, relation: &Relation) -> Read<Vec<Value>> {
        self.expect(b'T', "no tuple")?;
        let attributes = self.int32()?;
        if attributes != relation.attributes.len() {
            return self.wrong("a tuple that differs from its relation");
        }
        (0..attributes).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> Read<Value> {
        match self.byte()? {
            b'n' => Ok(Value::Null),
            b'u' => Ok(Value::Unchanged),
            b't' => {
                let length = self.int32()?;
                Ok(Value::Text(self.terminated(length)?))
            }
            _ => self.wrong("an unknown kind of value"),
        }
    }
}
