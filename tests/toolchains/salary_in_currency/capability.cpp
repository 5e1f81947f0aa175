#include "metier.h"

#include <cmath>
#include <map>
#include <string>

using Row = const metier_json *;

static Row table(const std::string &name) {
    FILE *file = fopen(("/hr/" + name + ".json").c_str(), "rb");
    if (file == nullptr) metier_error("file_error", "%s cannot be read", name.c_str());
    metier_text text = metier_read_all(file);
    fclose(file);
    const char *wrong = nullptr;
    Row rows = metier_parse(text.data, text.length, &wrong);
    if (rows == nullptr) metier_error("file_error", "%s is not JSON: %s", name.c_str(), wrong);
    return rows;
}

static std::map<std::string, Row> by(Row rows, const char *key) {
    std::map<std::string, Row> found;
    for (size_t i = 0; i < metier_count(rows); i++) {
        found[metier_as_string(metier_get(metier_at(rows, i), key))] = metier_at(rows, i);
    }
    return found;
}

int main() {
    Row input = metier_input();
    const std::string name = metier_as_string(metier_get(input, "name"));
    const std::string currency = metier_as_string(metier_get(input, "currency"));

    auto employees = by(table("employees"), "name");
    auto person = employees.find(name);
    if (person == employees.end()) metier_error("not_found", "no employee named %s", name.c_str());
    Row pay = by(table("salaries"), "employee_id")[metier_as_string(metier_get(person->second, "id"))];
    if (pay == nullptr) metier_error("not_found", "%s has no salary on record", name.c_str());
    Row rates = metier_get(table("exchange_rates"), "rates");
    Row to = metier_get(rates, currency.c_str());
    if (to == nullptr) metier_error("unknown_currency", "no rate for %s", currency.c_str());
    double from = metier_as_number(metier_get(rates, metier_as_string(metier_get(pay, "currency"))), 1);
    double salary = metier_as_number(metier_get(pay, "salary"), 0) / from * metier_as_number(to, 0);

    metier_json *output = metier_object();
    metier_set(output, "name", metier_string(name.c_str()));
    metier_set(output, "salary", metier_number(std::round(salary * 100) / 100));
    metier_set(output, "currency", metier_string(currency.c_str()));
    metier_output(output);
}
