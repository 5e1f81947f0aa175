#include "metier.h"

static metier_json *read_json(const char *path) {
    FILE *file = fopen(path, "rb");  // a granted root is a folder
    if (file == NULL) metier_error("file_error", "%s cannot be read", path);
    const char *wrong = NULL;
    metier_text text = metier_read_all(file);
    metier_json *value = metier_parse(text.data, text.length, &wrong);
    if (value == NULL) metier_error("file_error", "%s is not JSON: %s", path, wrong);
    return value;
}

static const metier_json *find(const metier_json *rows, const char *key, const char *wanted) {
    for (const metier_json *row = rows->first; row != NULL; row = row->next) {
        const char *value = metier_as_string(metier_get(row, key));
        if (value != NULL && strcmp(value, wanted) == 0) return row;
    }
    return NULL;
}

int main(void) {
    metier_json *input = metier_input();
    const char *name = metier_as_string(metier_get(input, "name"));
    if (name == NULL) metier_error("invalid_input", "name is missing");

    const metier_json *employee = find(read_json("/hr/employees.json"), "name", name);
    if (employee == NULL) metier_error("not_found", "no employee named %s", name);
    const char *id = metier_as_string(metier_get(employee, "id"));
    const metier_json *pay = find(read_json("/hr/salaries.json"), "employee_id", id);
    if (pay == NULL) metier_error("not_found", "%s has no salary on record", name);

    metier_json *output = metier_object();
    metier_set(output, "name", metier_string(name));
    metier_set(output, "title", metier_copy(metier_get(employee, "title")));
    metier_set(output, "salary", metier_number(metier_as_number(metier_get(pay, "salary"), 0)));
    metier_output(output);
}
