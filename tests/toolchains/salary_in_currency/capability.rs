use metier::{object, Error, Json};

fn main() {
    metier::run(|input| {
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_string();
        let (name, currency) = (text("name"), text("currency"));
        let employees = read("employees")?;
        let person = employees.items().iter().find(|e| e["name"].as_str() == Some(&name));
        let person = person.ok_or_else(|| Error::new("not_found", format!("no employee named {name}")))?;
        let rates = read("exchange_rates")?;
        let rate = |of: &str| {
            rates["rates"][of].as_f64().ok_or_else(|| Error::new("unknown_currency", format!("no rate for {of}")))
        };
        let salaries = read("salaries")?;
        let pay = salaries.items().iter().find(|s| s["employee_id"] == person["id"]);
        let pay = pay.ok_or_else(|| Error::new("not_found", "no salary on record"))?;
        let earned = pay["salary"].as_f64().unwrap_or(0.0);
        let salary = earned / rate(pay["currency"].as_str().unwrap_or_default())? * rate(&currency)?;
        let rounded = (salary * 100.0).round() / 100.0;
        Ok(object([("name", name.into()), ("salary", rounded.into()), ("currency", currency.into())]))
    });
}

fn read(name: &str) -> Result<Json, Error> {
    Json::parse(&std::fs::read_to_string(format!("/hr/{name}.json"))?)
}
