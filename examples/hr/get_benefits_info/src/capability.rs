//! The benefits of one employee: reads {"employee_id" and/or "name"} on stdin, prints the benefits on stdout.
//! A failure is {"error", "kind"} on stderr and exit status 1. Std only, hence the small JSON reader below.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::{fs, process};

const PEOPLE: &str = "/hr/employees.json";
const BENEFITS: &str = "/hr/benefits.json";
const FIELDS: [&str; 8] = [
    "health_plan",
    "coverage",
    "dental",
    "vision",
    "retirement_plan",
    "employer_contribution_percent",
    "life_insurance_years",
    "perks",
];

struct Failure {
    kind: &'static str,
    error: String,
}

impl Failure {
    fn new(kind: &'static str, error: impl Into<String>) -> Failure {
        Failure { kind, error: error.into() }
    }
}

fn main() {
    let (text, status) = match run() {
        Ok(output) => (output, 0),
        Err(failure) => {
            let object = vec![
                ("error".to_string(), Json::Text(failure.error)),
                ("kind".to_string(), Json::Text(failure.kind.to_string())),
            ];
            (Json::Object(object), 1)
        }
    };
    let line = text.to_text() + "\n";
    let written = match status {
        0 => io::stdout().write_all(line.as_bytes()),
        _ => io::stderr().write_all(line.as_bytes()),
    };
    process::exit(if written.is_ok() { status } else { 1 });
}

fn run() -> Result<Json, Failure> {
    let mut given = Vec::new();
    io::stdin()
        .read_to_end(&mut given)
        .map_err(|e| Failure::new("invalid_input", format!("cannot read the input: {}", e)))?;
    let input = parse(&given, "invalid_input", "the input")?;
    if !matches!(input, Json::Object(_)) {
        return Err(Failure::new("invalid_input", "the input must be an object"));
    }

    let people = read_table(PEOPLE)?;
    let person = find_person(&people, &input)?;
    let (id, name) = (string(person, "id", PEOPLE)?, string(person, "name", PEOPLE)?);
    let table = read_table(BENEFITS)?;
    let row = table
        .iter()
        .find(|row| row.get("employee_id").and_then(Json::as_str) == Some(id))
        .ok_or_else(|| Failure::new("not_found", format!("{} ({}) has no benefits on record", name, id)))?;

    let mut output = vec![
        ("employee_id".to_string(), Json::Text(id.to_string())),
        ("name".to_string(), Json::Text(name.to_string())),
    ];
    for field in FIELDS {
        let value = row
            .get(field)
            .ok_or_else(|| Failure::new("file_error", format!("{} has no {} for {}", BENEFITS, field, id)))?;
        output.push((field.to_string(), value.clone()));
    }
    Ok(Json::Object(output))
}

/// The one employee meant by `employee_id`, by `name`, or by both; accents and case do not matter.
fn find_person<'a>(people: &'a [Json], input: &Json) -> Result<&'a Json, Failure> {
    let (id, name) = (argument(input, "employee_id")?, argument(input, "name")?);
    let said = name.or(id).ok_or_else(|| Failure::new("invalid_input", "say who: employee_id or name"))?;
    let (mut with_id, mut found) = (Vec::new(), Vec::new());
    for person in people {
        let (person_id, person_name) = (string(person, "id", PEOPLE)?, string(person, "name", PEOPLE)?);
        if id.map_or(true, |id| id.to_lowercase() == person_id.to_lowercase()) {
            with_id.push(person);
            if name.map_or(true, |name| is_named(name, person_name)) {
                found.push(person);
            }
        }
    }
    match (found.as_slice(), id, name) {
        ([person], _, _) => Ok(person),
        ([_, ..], _, _) => {
            Err(Failure::new("ambiguous", format!("\"{}\" is ambiguous: {}", said, choices(&found))))
        }
        ([], Some(id), Some(name)) if !with_id.is_empty() => {
            Err(Failure::new("conflict", format!("{} is not \"{}\": {}", id, name, choices(&with_id))))
        }
        ([], _, _) => {
            let everyone: Vec<&Json> = people.iter().collect();
            let said = id.unwrap_or(said);
            Err(Failure::new("not_found", format!("no employee \"{}\"; the choices: {}", said, choices(&everyone))))
        }
    }
}

fn argument<'a>(input: &'a Json, key: &str) -> Result<Option<&'a str>, Failure> {
    match input.get(key) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::new("invalid_input", format!("{} must be a string", key))),
    }
}

fn choices(people: &[&Json]) -> String {
    let text = |person: &Json, key| person.get(key).and_then(Json::as_str).unwrap_or("?").to_string();
    let listed: Vec<String> = people.iter().map(|p| format!("{} ({})", text(p, "name"), text(p, "id"))).collect();
    listed.join(", ")
}

/// Whether `wanted` has words and each of them is a word of `name`.
fn is_named(wanted: &str, name: &str) -> bool {
    let (wanted, name) = (words(wanted), words(name));
    !wanted.is_empty() && wanted.iter().all(|word| name.contains(word))
}

/// U+00C0 to U+017F without case and accents; a dot where a letter has no such form.
const BASE: &[u8] = b"aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y\
aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll.\
...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzzs";

/// The words of `text`, without case and accents.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::new();
    for c in text.chars() {
        match c as usize {
            0x300..=0x36F => {} // a combining accent
            0xDF | 0x1E9E => plain.push_str("ss"),
            point @ 0xC0..=0x17F if BASE[point - 0xC0] != b'.' => plain.push(BASE[point - 0xC0] as char),
            _ if c.is_alphanumeric() || c == '_' => plain.extend(c.to_lowercase()),
            _ => plain.push(' '),
        }
    }
    plain.split_whitespace().map(str::to_string).collect()
}

fn read_table(path: &str) -> Result<Vec<Json>, Failure> {
    let text = fs::read(path).map_err(|e| Failure::new("file_error", format!("cannot read {}: {}", path, e)))?;
    match parse(&text, "file_error", path)? {
        Json::List(rows) => Ok(rows),
        _ => Err(Failure::new("file_error", format!("{} is not a list", path))),
    }
}

fn string<'a>(row: &'a Json, key: &str, path: &str) -> Result<&'a str, Failure> {
    row.get(key)
        .and_then(Json::as_str)
        .ok_or_else(|| Failure::new("file_error", format!("{} has a row without a usable {}", path, key)))
}

// ---------------------------------------------------------------- JSON (RFC 8259)

#[derive(Clone)]
enum Json {
    /// A number, true, false or null in its own spelling, so that integers stay integers.
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The member called `key`, the last one if there are several.
    fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }

    fn as_str(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        match self {
            Json::Plain(text) => text.clone(),
            Json::Text(text) => quoted(text),
            Json::List(items) => {
                let items: Vec<String> = items.iter().map(Json::to_text).collect();
                format!("[{}]", items.join(", "))
            }
            Json::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("{}: {}", quoted(key), value.to_text())).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\0'..='\x1f' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            _ => out.push(c),
        }
    }
    out + "\""
}

fn parse(text: &[u8], kind: &'static str, source: &str) -> Result<Json, Failure> {
    let text = std::str::from_utf8(text).map_err(|_| Failure::new(kind, format!("{} is not UTF-8", source)))?;
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value().and_then(|value| match reader.next_token() {
        None => Ok(value),
        Some(_) => Err("more text after the value"),
    });
    value.map_err(|wrong| Failure::new(kind, format!("{} is not JSON: {} at byte {}", source, wrong, reader.at)))
}

const DEEPEST: usize = 64;

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
            Some(b'"') => self.string().map(Json::Text),
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
        for literal in ["true", "false", "null"] {
            if self.text[self.at..].starts_with(literal) {
                self.at += literal.len();
                return Ok(Json::Plain(literal.to_string()));
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
        if good {
            Ok(Json::Plain(self.text[start..self.at].to_string()))
        } else {
            Err("expected a value")
        }
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

    /// The character after a backslash. Half a surrogate pair becomes U+FFFD, as in Go.
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
        let before = self.at;
        if (0xD800..0xDC00).contains(&unit) && self.take(b'\\') && self.take(b'u') {
            if let Ok(low @ 0xDC00..=0xDFFF) = self.hex() {
                return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            }
        }
        if (0xD800..0xDC00).contains(&unit) {
            self.at = before;
        }
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
