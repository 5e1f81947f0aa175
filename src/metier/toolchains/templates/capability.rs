use metier::{host, object, Error, Json};

fn main() {
    metier::run(capability);
}

fn capability(input: Json) -> Result<Json, Error> {
    let name = input["name"].as_str().ok_or_else(|| Error::new("invalid_input", "name is missing"))?;
    let employees = Json::parse(&std::fs::read_to_string("/hr/employees.json")?)?; // a granted root is a folder
    let employee = employees
        .items()
        .iter()
        .find(|e| e["name"].as_str() == Some(name))
        .ok_or_else(|| Error::new("not_found", format!("no employee named {name}")))?;
    let pay = host::call("get_salary_details", object([("employee_id", employee["id"].clone())]))?;
    Ok(object([("name", name.into()), ("title", employee["title"].clone()), ("salary", pay["salary"].clone())]))
}
