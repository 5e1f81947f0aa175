// Uses every part of the crate. What it prints is the same in every language.
use metier::{host, list, object, Error, Json};

fn main() {
    metier::run(probe);
}

fn probe(input: Json) -> Result<Json, Error> {
    match input["fail"].as_str() {
        Some("own") => return Err(Error::new("own_kind", "no \"luck\", 3 times")),
        Some(_) => return host::http_get("https://denied.example.com/"),
        None => {}
    }
    let body = object([
        ("note", "a \"b\"\n\u{1}".into()),
        ("tags", Json::List(vec![Json::Null, true.into(), 0.1.into()])),
    ]);
    let headers = object([("X-Trace", "7".into())]);
    let denied = host::http_get("https://denied.example.com/").unwrap_err();
    let people: Json = std::fs::read_to_string("/hr/employees.json")?.parse()?;
    let numbers = &input["numbers"];
    let looks = Json::List(vec![
        numbers[0].as_i64().unwrap_or(-1).into(),
        numbers[1].as_i64().unwrap_or(-1).into(),
        numbers[2].as_f64().into(),
        numbers[99].as_i64().unwrap_or(-1).into(),
        input["flag"].as_bool().into(),
        input["missing"].as_str().is_none().into(),
    ]);
    let texts = ["", "[1,]", "{\"a\" 1}", "\"\\x\"", "01", "1 2", "\"\n\"", "nul", "[1", "-"];
    let broken = list((0..texts.len()).filter(|i| Json::parse(texts[*i]).is_err()));
    Ok(object([
        ("called", host::call("get_salary_details", object([("name", "John".into())]))?),
        ("got", host::http_get("https://api.example.com/")?),
        ("posted", host::http_request("POST", "https://api.example.com/notes", headers, body)?),
        ("rows", host::sql("hr", "SELECT ?, ?", Json::List(vec![(-7).into(), "é".into()]))?),
        ("denied", object([("kind", denied.kind.into()), ("message", denied.message.into())])),
        ("nothing", host::request("nothing", [])?),
        ("raw", Json::parse(&host::call_json("[]"))?),
        ("people", people.items().len().into()),
        ("looks", looks),
        ("broken", broken),
        ("input", input),
    ]))
}
