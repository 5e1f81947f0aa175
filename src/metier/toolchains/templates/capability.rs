use metier::{object, Error, Json};

fn main() {
    metier::run(capability);
}

fn read(table: &str) -> Result<Json, Error> {
    Json::parse(&std::fs::read_to_string(format!("/hr/{}.json", table))?) // a granted root is a folder
}

fn find<'a>(rows: &'a Json, key: &str, wanted: &str) -> Option<&'a Json> {
    rows.items().iter().find(|row| row[key].as_str() == Some(wanted))
}

fn capability(input: Json) -> Result<Json, Error> {
    let name = input["name"].as_str().ok_or_else(|| Error::new("invalid_input", "name is missing"))?;
    let (employees, salaries) = (read("employees")?, read("salaries")?);
    let employee = find(&employees, "name", name)
        .ok_or_else(|| Error::new("not_found", format!("no employee named {}", name)))?;
    let pay = find(&salaries, "employee_id", employee["id"].as_str().unwrap_or(""))
        .ok_or_else(|| Error::new("not_found", format!("{} has no salary on record", name)))?;
    let salary = pay["salary"].as_f64().ok_or_else(|| Error::new("file_error", "the salary is no number"))?;
    Ok(object([("name", name.into()), ("title", employee["title"].clone()), ("salary", salary.into())]))
}
