//! Metier for Rust: input and output as JSON, errors with a kind, and what a capability can ask of its host.
//!
//! One file, the standard library only, Rust 1.63 and later. Files need nothing of this: `std::fs` works on the granted
//! roots. Use it as a crate, or copy this file beside your own as `metier.rs` and write `mod metier;`.
#![allow(dead_code)]

use std::fmt::{self, Display, Write as _};
use std::io::{Read, Write as _};
use std::ops::Index;
use std::str::FromStr;

/// A failure with a kind. Return it to fail with that kind; the host's refusals and failures arrive as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub kind: String,
    pub message: String,
}

impl Error {
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Error {
        Error { kind: kind.into(), message: message.into() }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new("file_error", error.to_string())
    }
}

/// The whole of `main`: reads the input from stdin, and writes the output to stdout or the failure to stderr.
pub fn run(capability: impl FnOnce(Json) -> Result<Json, Error>) {
    let done = input().and_then(capability).and_then(|output| {
        std::io::stdout().write_all(output.to_string().as_bytes())?;
        Ok(())
    });
    if let Err(error) = done {
        let said = object([("error", error.message.into()), ("kind", error.kind.into())]);
        eprintln!("{}", said);
        std::process::exit(1);
    }
}

fn input() -> Result<Json, Error> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Json::parse(&text)
}

/// What a program can ask of its host.
pub mod host {
    use super::{object, Error, Json};

    /// Runs another capability and returns its output.
    pub fn call(capability: &str, input: Json) -> Result<Json, Error> {
        request("call", [("capability", capability.into()), ("input", input)])
    }

    /// GETs a URL. Returns the same as `http_request`.
    pub fn http_get(url: &str) -> Result<Json, Error> {
        http_request("GET", url, object([]), Json::Null)
    }

    /// Sends a request and returns the response. `headers` is an object of strings; `body` is a string, null, or any
    /// other value, which is sent as JSON.
    pub fn http_request(method: &str, url: &str, mut headers: Json, body: Json) -> Result<Json, Error> {
        let body = match body {
            Json::List(_) | Json::Object(_) => {
                if let Json::Object(members) = &mut headers {
                    if !members.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                        members.push(("Content-Type".to_string(), "application/json".into()));
                    }
                }
                Json::String(body.to_string())
            }
            other => other,
        };
        request("http.request", [("method", method.into()), ("url", url.into()), ("headers", headers), ("body", body)])
    }

    /// Runs one SQL statement on a store that the operator named. `parameters` is a list or an object.
    pub fn sql(store: &str, statement: &str, parameters: Json) -> Result<Json, Error> {
        let fields = [("store", store.into()), ("statement", statement.into()), ("parameters", parameters)];
        request("sql.query", fields)
    }

    /// Asks for an effect by its name; `fields` are what belongs to it.
    pub fn request<const N: usize>(op: &str, fields: [(&str, Json); N]) -> Result<Json, Error> {
        let mut asked = vec![("op".to_string(), op.into())];
        asked.extend(fields.into_iter().map(|(name, value)| (name.to_string(), value)));
        let answer = call_json(&Json::Object(asked).to_string());
        let told = Json::parse(&answer)?;
        if let Some(value) = told.get("ok") {
            return Ok(value.clone());
        }
        let text = |key: &str, otherwise: &str| told[key].as_str().unwrap_or(otherwise).to_string();
        Err(Error::new(text("kind", "error"), text("error", "the host gave no reason")))
    }

    /// Passes one request, a JSON text, through the effect door: `{"ok": value}` or `{"error": …, "kind": …}`.
    pub fn call_json(request: &str) -> String {
        // SAFETY: the host reads `request` while it is borrowed, and `read` writes exactly the bytes that `call` announced.
        let answer = unsafe {
            let size = import::call(request.as_ptr(), request.len());
            let mut answer = vec![0; size];
            import::read(answer.as_mut_ptr());
            answer
        };
        String::from_utf8_lossy(&answer).into_owned()
    }

    mod import {
        #[link(wasm_import_module = "metier")]
        extern "C" {
            pub fn call(request: *const u8, size: usize) -> usize;
            pub fn read(answer: *mut u8);
        }
    }
}

// ---------------------------------------------------------------- JSON (RFC 8259)

/// A JSON value. `to_string` prints it, `Json::parse` reads it, `value["key"]` and `value[0]` look into it and give
/// `Json::Null` where nothing is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// A number in its own spelling, so that integers stay what they are.
    Number(String),
    String(String),
    List(Vec<Json>),
    /// Members in their order.
    Object(Vec<(String, Json)>),
}

/// `object([("name", "John".into()), ("salary", 85000.into())])`
pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
    Json::Object(members.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
}

/// `list(["a", "b"])`
pub fn list<T: Into<Json>>(items: impl IntoIterator<Item = T>) -> Json {
    Json::List(items.into_iter().map(Into::into).collect())
}

impl Json {
    /// The one value in `text`. Fails with kind "invalid_input".
    pub fn parse(text: &str) -> Result<Json, Error> {
        let mut reader = Reader { text, at: 0, depth: 0 };
        let value = reader.value().and_then(|value| match reader.next_token() {
            None => Ok(value),
            Some(_) => Err("more text after the value"),
        });
        value.map_err(|wrong| Error::new("invalid_input", format!("not JSON: {} at byte {}", wrong, reader.at)))
    }

    /// The member called `key`, the last one if there are several; None where this is no object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Number(spelling) => spelling.parse().ok(),
            _ => None,
        }
    }

    /// An integer, also where it is spelled 1.0 or 1e3.
    pub fn as_i64(&self) -> Option<i64> {
        let spelling = match self {
            Json::Number(spelling) => spelling,
            _ => return None,
        };
        let whole = || self.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < i64::MAX as f64).map(|n| n as i64);
        spelling.parse().ok().or_else(whole)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items of a list; nothing where this is none.
    pub fn items(&self) -> &[Json] {
        match self {
            Json::List(items) => items,
            _ => &[],
        }
    }

    /// The members of an object; nothing where this is none.
    pub fn members(&self) -> &[(String, Json)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }
}

impl FromStr for Json {
    type Err = Error;

    fn from_str(text: &str) -> Result<Json, Error> {
        Json::parse(text)
    }
}

impl Index<&str> for Json {
    type Output = Json;

    fn index(&self, key: &str) -> &Json {
        self.get(key).unwrap_or(&Json::Null)
    }
}

impl Index<usize> for Json {
    type Output = Json;

    fn index(&self, at: usize) -> &Json {
        self.items().get(at).unwrap_or(&Json::Null)
    }
}

impl Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{}", value),
            Json::Number(spelling) => f.write_str(spelling),
            Json::String(text) => quoted(f, text),
            Json::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { '[' } else { ',' }, item)?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Json::Object(members) => {
                for (i, (key, value)) in members.iter().enumerate() {
                    f.write_char(if i == 0 { '{' } else { ',' })?;
                    quoted(f, key)?;
                    write!(f, ":{}", value)?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{}", c)?,
            '\0'..='\x1f' => write!(f, "\\u{:04x}", c as u32)?,
            _ => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_string())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::List(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Null, Into::into)
    }
}

/// Null where the number is not finite: JSON has no such numbers.
impl From<f64> for Json {
    fn from(value: f64) -> Json {
        if value.is_finite() { Json::Number(value.to_string()) } else { Json::Null }
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(impl From<$integer> for Json {
            fn from(value: $integer) -> Json {
                Json::Number(value.to_string())
            }
        })*
    };
}

from_integers!(i32 i64 u32 u64 usize);

const DEEPEST: usize = 128; // the host's own limit is 100

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next_token(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let taken = self.peek() == Some(wanted);
        self.at += taken as usize;
        taken
    }

    fn take_digits(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at > start
    }

    fn value(&mut self) -> Result<Json, &'static str> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("nested too deeply");
        }
        let value = match self.next_token() {
            Some(b'{') => self.object(),
            Some(b'[') => self.list(),
            Some(b'"') => self.string().map(Json::String),
            _ => self.plain(),
        };
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Json, &'static str> {
        let mut items = Vec::new();
        self.at += 1;
        if self.next_token() == Some(b']') {
            self.at += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']')? {
                return Ok(Json::List(items));
            }
        }
    }

    fn object(&mut self) -> Result<Json, &'static str> {
        let mut members = Vec::new();
        self.at += 1;
        if self.next_token() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.next_token();
            let key = self.string()?;
            if self.next_token() != Some(b':') {
                return Err("expected ':'");
            }
            self.at += 1;
            members.push((key, self.value()?));
            if self.ends(b'}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    /// After a member: whether the list or object ends here; if not, a comma must follow.
    fn ends(&mut self, close: u8) -> Result<bool, &'static str> {
        self.next_token();
        if self.take(close) {
            return Ok(true);
        }
        if self.take(b',') {
            return Ok(false);
        }
        Err("expected ',' or the end of a list or object")
    }

    fn plain(&mut self) -> Result<Json, &'static str> {
        for (word, value) in [("true", Json::Bool(true)), ("false", Json::Bool(false)), ("null", Json::Null)] {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        let start = self.at;
        self.take(b'-');
        let mut good = self.take(b'0') || self.take_digits();
        if good && self.take(b'.') {
            good = self.take_digits();
        }
        if good && (self.take(b'e') || self.take(b'E')) {
            let _sign = self.take(b'+') || self.take(b'-');
            good = self.take_digits();
        }
        if good { Ok(Json::Number(self.text[start..self.at].to_string())) } else { Err("expected a value") }
    }

    fn string(&mut self) -> Result<String, &'static str> {
        let mut out = String::new();
        if !self.take(b'"') {
            return Err("expected a string");
        }
        loop {
            let c = self.text[self.at..].chars().next().ok_or("string without end")?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => out.push(self.escape()?),
                '\0'..='\x1f' => return Err("control character in a string"),
                _ => out.push(c),
            }
        }
    }

    /// The character after a backslash. Half a surrogate pair becomes U+FFFD.
    fn escape(&mut self) -> Result<char, &'static str> {
        let c = self.peek().ok_or("string without end")?;
        if c == b'u' {
            self.at += 1;
            let unit = self.hex()?;
            return Ok(char::from_u32(self.join(unit)).unwrap_or('\u{FFFD}'));
        }
        let meaning = match c {
            b'"' | b'\\' | b'/' => c as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return Err("unknown escape"),
        };
        self.at += 1;
        Ok(meaning)
    }

    /// The code point of `unit` and, where it is the first half of a pair, of the `\u` escape that completes it.
    fn join(&mut self, unit: u32) -> u32 {
        if !(0xD800..0xDC00).contains(&unit) {
            return unit;
        }
        let before = self.at;
        if self.take(b'\\') && self.take(b'u') {
            if let Ok(low @ 0xDC00..=0xDFFF) = self.hex() {
                return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            }
        }
        self.at = before;
        unit
    }

    fn hex(&mut self) -> Result<u32, &'static str> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or("string without end")?;
        let mut unit = 0;
        for digit in digits {
            unit = unit * 16 + (*digit as char).to_digit(16).ok_or("unknown escape")?;
        }
        self.at += 4;
        Ok(unit)
    }
}
