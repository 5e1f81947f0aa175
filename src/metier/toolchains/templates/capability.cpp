#include "metier.h"

#include <string>

int main() {
    metier_json *input = metier_input();
    const char *name = metier_as_string(metier_get(input, "name"));
    if (name == nullptr) metier_error("invalid_input", "name is missing");

    FILE *file = fopen("/hr/employees.json", "rb");  // a granted root is a folder; no <fstream> here
    if (file == nullptr) metier_error("file_error", "/hr/employees.json cannot be read");
    metier_text text = metier_read_all(file);
    metier_json *employees = metier_parse(text.data, text.length, nullptr);

    for (size_t i = 0; i < metier_count(employees); i++) {
        const metier_json *employee = metier_at(employees, i);
        if (std::string(metier_as_string(metier_get(employee, "name"))) != name) continue;
        metier_json *who = metier_object();
        metier_set(who, "employee_id", metier_copy(metier_get(employee, "id")));
        metier_json *pay = metier_call_capability("get_salary_details", who, nullptr);  // nullptr: its error becomes ours

        metier_json *output = metier_object();
        metier_set(output, "name", metier_string(name));
        metier_set(output, "title", metier_copy(metier_get(employee, "title")));
        metier_set(output, "salary", metier_number(metier_as_number(metier_get(pay, "salary"), 0)));
        metier_output(output);
        return 0;
    }
    metier_error("not_found", "no employee named %s", name);  // C++ has no exceptions here: end with an error instead
}
