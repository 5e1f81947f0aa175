#include "metier.h"

static metier_json *table(const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/hr/%s.json", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) metier_error("file_error", "%s cannot be read", path);
    metier_text text = metier_read_all(file);
    fclose(file);
    const char *wrong = NULL;
    metier_json *rows = metier_parse(text.data, text.length, &wrong);
    if (rows == NULL) metier_error("file_error", "%s is not JSON: %s", path, wrong);
    return rows;
}

static const metier_json *row(const metier_json *rows, const char *key, const char *wanted) {
    for (size_t i = 0; i < metier_count(rows); i++) {
        const metier_json *found = metier_at(rows, i);
        if (strcmp(metier_as_string(metier_get(found, key)), wanted) == 0) return found;
    }
    return NULL;
}

int main(void) {
    metier_json *input = metier_input();
    const char *name = metier_as_string(metier_get(input, "name"));
    const char *currency = metier_as_string(metier_get(input, "currency"));

    const metier_json *person = row(table("employees"), "name", name);
    if (person == NULL) metier_error("not_found", "no employee named %s", name);
    const metier_json *pay = row(table("salaries"), "employee_id", metier_as_string(metier_get(person, "id")));
    if (pay == NULL) metier_error("not_found", "%s has no salary on record", name);
    const metier_json *rates = metier_get(table("exchange_rates"), "rates");
    double to = metier_as_number(metier_get(rates, currency), 0);
    if (to == 0) metier_error("unknown_currency", "no rate for %s", currency);
    double from = metier_as_number(metier_get(rates, metier_as_string(metier_get(pay, "currency"))), 1);
    double salary = metier_as_number(metier_get(pay, "salary"), 0) / from * to;

    metier_json *output = metier_object();
    metier_set(output, "name", metier_string(name));
    metier_set(output, "salary", metier_number(round(salary * 100) / 100));
    metier_set(output, "currency", metier_string(currency));
    metier_output(output);
    return 0;
}
