// Uses every part of metier.h; compiled as C99, C11 and C++. What it prints is the same in every language.
#include "metier.h"

static metier_json *reason(metier_json *told, metier_failure failure) {
    metier_json *out = metier_object();
    if (told != NULL) metier_error("unexpected", "it was allowed");
    metier_set(out, "kind", metier_string(failure.kind));
    metier_set(out, "message", metier_string(failure.message));
    free(failure.kind);
    free(failure.message);
    return out;
}

static metier_json *posted(void) {
    metier_json *headers = metier_object(), *body = metier_object(), *tags = metier_list();
    metier_set(headers, "X-Trace", metier_string("7"));
    metier_add(tags, metier_null());
    metier_add(tags, metier_boolean(true));
    metier_add(tags, metier_number(0.1));
    metier_set(body, "note", metier_string("replaced"));
    metier_set(body, "note", metier_string("a \"b\"\n\x01"));
    metier_set(body, "tags", tags);
    return metier_http_request("POST", "https://api.example.com/notes", headers, body, NULL);
}

static metier_json *rows(void) {
    metier_json *parameters = metier_list();
    metier_add(parameters, metier_integer(-7));
    metier_add(parameters, metier_string("é"));
    return metier_sql("hr", "SELECT ?, ?", parameters, NULL);
}

static metier_json *table_length(void) {
    FILE *file = fopen("/hr/employees.json", "r");
    if (file == NULL) metier_error("file_error", "cannot open %s", "/hr/employees.json");
    metier_text text = metier_read_all(file);
    metier_json *people = metier_parse(text.data, text.length, NULL);
    metier_json *count = metier_integer((int64_t)metier_count(people));
    fclose(file);
    free(text.data);
    metier_free(people);
    return count;
}

static metier_json *looks(const metier_json *input) {
    metier_json *out = metier_list();
    const metier_json *numbers = metier_get(input, "numbers");
    metier_add(out, metier_integer(metier_as_integer(metier_at(numbers, 0), -1)));
    metier_add(out, metier_integer(metier_as_integer(metier_at(numbers, 1), -1)));
    metier_add(out, metier_number(metier_as_number(metier_at(numbers, 2), -1)));
    metier_add(out, metier_integer(metier_as_integer(metier_at(numbers, 99), -1)));
    metier_add(out, metier_boolean(metier_as_boolean(metier_get(input, "flag"), false)));
    metier_add(out, metier_boolean(metier_as_string(metier_get(input, "missing")) == NULL));
    return out;
}

static metier_json *broken(void) {
    static const char *const texts[] = {"", "[1,]", "{\"a\" 1}", "\"\\x\"", "01", "1 2", "\"\n\"", "nul", "[1", "-"};
    metier_json *out = metier_list();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *wrong = NULL;
        if (metier_parse(texts[i], strlen(texts[i]), &wrong) == NULL && wrong != NULL) metier_add(out, metier_integer((int64_t)i));
    }
    return out;
}

int main(void) {
    metier_failure failure = {NULL, NULL};
    metier_json *input = metier_input(), *out = metier_object(), *asked = metier_object();
    const char *fail = metier_as_string(metier_get(input, "fail"));
    if (fail != NULL && strcmp(fail, "own") == 0) metier_error("own_kind", "no \"%s\", %d times", "luck", 3);
    if (fail != NULL) metier_free(metier_http_get("https://denied.example.com/", NULL)); // ends the program
    metier_set(asked, "name", metier_string("John"));
    metier_set(out, "called", metier_call_capability("get_salary_details", asked, NULL));
    metier_set(out, "got", metier_http_get("https://api.example.com/", NULL));
    metier_set(out, "posted", posted());
    metier_set(out, "rows", rows());
    metier_json *denied = metier_http_get("https://denied.example.com/", &failure);
    metier_set(out, "denied", reason(denied, failure));
    metier_set(out, "nothing", metier_request("nothing", metier_object(), NULL));
    char *raw = metier_call_json("[]");
    metier_set(out, "raw", metier_parse(raw, strlen(raw), NULL));
    free(raw);
    metier_set(out, "people", table_length());
    metier_set(out, "looks", looks(input));
    metier_set(out, "broken", broken());
    metier_set(out, "input", metier_copy(input));
    metier_output(out);
    metier_free(out);
    metier_free(input);
    return 0;
}
