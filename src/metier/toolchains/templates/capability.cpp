#include "metier.h"

#include <string>

static metier_json *read_json(const std::string &path) {
    FILE *file = fopen(path.c_str(), "rb");  // a granted root is a folder; no <fstream> here
    if (file == nullptr) metier_error("file_error", "%s cannot be read", path.c_str());
    const char *wrong = nullptr;
    metier_text text = metier_read_all(file);
    metier_json *value = metier_parse(text.data, text.length, &wrong);
    if (value == nullptr) metier_error("file_error", "%s is not JSON: %s", path.c_str(), wrong);
    return value;  // C++ has no exceptions here: end with an error instead
}

static std::string text_of(const metier_json *value) {
    const char *text = metier_as_string(value);
    return text == nullptr ? "" : text;
}

static const metier_json *find(const metier_json *rows, const char *key, const std::string &wanted) {
    for (const metier_json *row = rows->first; row != nullptr; row = row->next) {
        if (text_of(metier_get(row, key)) == wanted) return row;
    }
    return nullptr;
}

int main() {
    metier_json *input = metier_input();
    std::string name = text_of(metier_get(input, "name"));

    const metier_json *employee = find(read_json("/hr/employees.json"), "name", name);
    if (employee == nullptr) metier_error("not_found", "no employee named %s", name.c_str());
    const metier_json *pay = find(read_json("/hr/salaries.json"), "employee_id", text_of(metier_get(employee, "id")));
    if (pay == nullptr) metier_error("not_found", "%s has no salary on record", name.c_str());

    metier_json *output = metier_object();
    metier_set(output, "name", metier_string(name.c_str()));
    metier_set(output, "title", metier_copy(metier_get(employee, "title")));
    metier_set(output, "salary", metier_number(metier_as_number(metier_get(pay, "salary"), 0)));
    metier_output(output);
}
