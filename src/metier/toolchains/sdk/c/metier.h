// Metier for C and C++: input and output as JSON, errors with a kind, and what a capability can ask of its host.
//
// One header and no library; C99, C11, C++11 and later. Files need nothing of this: fopen("/hr/cars.json", "r") works on
// the granted roots. See README.md beside this file.
//
// Texts are UTF-8 and end with a NUL. A value that is put into another one, or handed to a function that asks the host,
// belongs to it from then on; what metier_get and metier_at find still belongs to where it was found, and goes elsewhere
// as a metier_copy. metier_free frees a value and all that is in it; a short program need not bother.

#ifndef METIER_H
#define METIER_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef __cplusplus
extern "C" {
#endif
__attribute__((import_module("metier"), import_name("call"))) int32_t metier_import_call(const char *request,
                                                                                         int32_t size);
__attribute__((import_module("metier"), import_name("read"))) void metier_import_read(char *answer);
#ifdef __cplusplus
}
#endif

// ---------------------------------------------------------------- errors

// Kinds that the host answers with; a capability may have more of its own, in the same style.
#define METIER_INVALID "invalid"     // the request makes no sense
#define METIER_DENIED "denied"       // no permission for it
#define METIER_NOT_FOUND "not_found" // no such file, capability, store, host …
#define METIER_NO_SPACE "no_space"   // larger than a limit

// Ends the program: {"error": message, "kind": kind} on stderr, exit status 1. The message is formatted as by printf.
__attribute__((noreturn, format(printf, 2, 3))) static inline void metier_error(const char *kind, const char *format,
                                                                                ...);

// Why the host did not do what it was asked to. Where a function takes a metier_failure *, NULL means that the program
// ends with that failure as its own.
typedef struct metier_failure {
    char *kind;
    char *message;
} metier_failure;

// ---------------------------------------------------------------- text

typedef struct metier_text {
    char *data; // NULL as long as nothing was appended
    size_t length, capacity;
} metier_text;

static inline void *metier_allocate(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (memory == NULL) {
        fputs("{\"error\": \"out of memory\", \"kind\": \"MemoryError\"}\n", stderr);
        exit(1);
    }
    return memory;
}

static inline void metier_append(metier_text *text, const char *bytes, size_t length) {
    if (text->capacity - text->length < length + 1) {
        text->capacity = (text->length + length) * 2 + 16;
        text->data = (char *)metier_allocate(text->data, text->capacity);
    }
    if (length > 0) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

static inline void metier_append_text(metier_text *text, const char *more) { metier_append(text, more, strlen(more)); }

static inline char *metier_copied(const char *text, size_t length) {
    metier_text copy = {NULL, 0, 0};
    metier_append(&copy, text, length);
    return copy.data;
}

// Everything that a file still holds: metier_read_all(stdin).
static inline metier_text metier_read_all(FILE *file) {
    metier_text text = {NULL, 0, 0};
    char chunk[4096];
    size_t got;
    metier_append(&text, "", 0);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) metier_append(&text, chunk, got);
    return text;
}

// ---------------------------------------------------------------- JSON values (RFC 8259)

typedef enum metier_kind {
    METIER_NULL,
    METIER_BOOLEAN,
    METIER_NUMBER,
    METIER_STRING,
    METIER_LIST,
    METIER_OBJECT
} metier_kind;

typedef struct metier_json {
    metier_kind kind;
    metier_text text;                 // a string's bytes; the spelling of a number, so integers stay what they are
    char *key;                        // what an object's member is called
    struct metier_json *first, *last; // members of a list or object
    struct metier_json *next;         // the member after this one
} metier_json;

static inline metier_json *metier_value(metier_kind kind, const char *text, size_t length) {
    metier_json *value = (metier_json *)metier_allocate(NULL, sizeof *value);
    memset(value, 0, sizeof *value);
    value->kind = kind;
    metier_append(&value->text, text, length);
    return value;
}

static inline metier_json *metier_null(void) { return metier_value(METIER_NULL, "null", 4); }
static inline metier_json *metier_list(void) { return metier_value(METIER_LIST, "", 0); }
static inline metier_json *metier_object(void) { return metier_value(METIER_OBJECT, "", 0); }

static inline metier_json *metier_boolean(bool value) {
    return value ? metier_value(METIER_BOOLEAN, "true", 4) : metier_value(METIER_BOOLEAN, "false", 5);
}

static inline metier_json *metier_string(const char *text) { return metier_value(METIER_STRING, text, strlen(text)); }

static inline metier_json *metier_integer(int64_t value) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)value);
    return metier_value(METIER_NUMBER, digits, (size_t)length);
}

// The shortest spelling that reads back as the same number. Ends the program where it is not finite.
static inline metier_json *metier_number(double value) {
    char digits[32];
    int length = 0;
    if (!isfinite(value)) metier_error(METIER_INVALID, "a number that is not finite cannot be written as JSON");
    for (int precision = 15; precision <= 17; precision++) {
        length = snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break;
    }
    return metier_value(METIER_NUMBER, digits, (size_t)length);
}

static inline void metier_free(metier_json *value) {
    if (value == NULL) return;
    for (metier_json *member = value->first; member != NULL;) {
        metier_json *next = member->next;
        metier_free(member);
        member = next;
    }
    free(value->key);
    free(value->text.data);
    free(value);
}

// Puts `member` at the end of a list.
static inline void metier_add(metier_json *list, metier_json *member) {
    if (list->last == NULL) list->first = member;
    else list->last->next = member;
    list->last = member;
}

// The member called `key`; NULL where there is none, or where `object` is none.
static inline metier_json *metier_get(const metier_json *object, const char *key) {
    if (object == NULL || object->kind != METIER_OBJECT) return NULL;
    for (metier_json *member = object->first; member != NULL; member = member->next) {
        if (strcmp(member->key, key) == 0) return member;
    }
    return NULL;
}

// Puts `member` into an object under `key`, in place of one that was called so.
static inline void metier_set(metier_json *object, const char *key, metier_json *member) {
    metier_json **place = &object->first, *before = NULL;
    member->key = metier_copied(key, strlen(key));
    while (*place != NULL && strcmp((*place)->key, key) != 0) before = *place, place = &before->next;
    if (*place == NULL) {
        metier_add(object, member);
        return;
    }
    metier_json *old = *place;
    member->next = old->next;
    *place = member;
    if (object->last == old) object->last = member;
    metier_free(old);
}

// A value like this one, with all that is in it; null for NULL.
static inline metier_json *metier_copy(const metier_json *value) {
    if (value == NULL) return metier_null();
    metier_json *copy = metier_value(value->kind, value->text.data, value->text.length);
    for (const metier_json *member = value->first; member != NULL; member = member->next) {
        metier_json *inner = metier_copy(member);
        if (member->key != NULL) inner->key = metier_copied(member->key, strlen(member->key));
        metier_add(copy, inner);
    }
    return copy;
}

// How many members a list or an object has.
static inline size_t metier_count(const metier_json *value) {
    size_t count = 0;
    for (metier_json *member = value == NULL ? NULL : value->first; member != NULL; member = member->next) count++;
    return count;
}

// The member of a list at `index`, from 0; NULL beyond its end.
static inline metier_json *metier_at(const metier_json *list, size_t index) {
    metier_json *member = list == NULL ? NULL : list->first;
    while (member != NULL && index-- > 0) member = member->next;
    return member;
}

// A string's text; NULL where `value` is none.
static inline const char *metier_as_string(const metier_json *value) {
    return value != NULL && value->kind == METIER_STRING ? value->text.data : NULL;
}

// A number; `otherwise` where `value` is none.
static inline double metier_as_number(const metier_json *value, double otherwise) {
    return value != NULL && value->kind == METIER_NUMBER ? strtod(value->text.data, NULL) : otherwise;
}

static inline int64_t metier_as_integer(const metier_json *value, int64_t otherwise) {
    if (value == NULL || value->kind != METIER_NUMBER) return otherwise;
    if (strpbrk(value->text.data, ".eE") == NULL) return strtoll(value->text.data, NULL, 10);
    double number = strtod(value->text.data, NULL);
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 ? (int64_t)number : otherwise;
}

static inline bool metier_as_boolean(const metier_json *value, bool otherwise) {
    return value != NULL && value->kind == METIER_BOOLEAN ? value->text.data[0] == 't' : otherwise;
}

// ---------------------------------------------------------------- writing JSON

static inline void metier_write_string(metier_text *out, const char *text, size_t length) {
    static const char hex[] = "0123456789abcdef";
    metier_append(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        char escaped[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c == '"' || c == '\\') metier_append(out, "\\", 1);
        if (c < 0x20) metier_append(out, escaped, sizeof escaped);
        else metier_append(out, text + i, 1);
    }
    metier_append(out, "\"", 1);
}

static inline void metier_write(metier_text *out, const metier_json *value) {
    bool object = value->kind == METIER_OBJECT;
    if (value->kind == METIER_STRING) {
        metier_write_string(out, value->text.data, value->text.length);
        return;
    }
    if (value->kind < METIER_LIST) {
        metier_append(out, value->text.data, value->text.length);
        return;
    }
    metier_append(out, object ? "{" : "[", 1);
    for (const metier_json *member = value->first; member != NULL; member = member->next) {
        if (member != value->first) metier_append(out, ",", 1);
        if (object) {
            metier_write_string(out, member->key, strlen(member->key));
            metier_append(out, ":", 1);
        }
        metier_write(out, member);
    }
    metier_append(out, object ? "}" : "]", 1);
}

// `value` as JSON text, to be freed by the caller.
static inline char *metier_print(const metier_json *value) {
    metier_text out = {NULL, 0, 0};
    metier_write(&out, value);
    return out.data;
}

// ---------------------------------------------------------------- reading JSON

enum { METIER_DEEPEST = 128 }; // the host's own limit is 100

typedef struct metier_reader {
    const char *at, *end;
    const char *wrong; // what is wrong at `at`; NULL as long as all is well
    int depth;
} metier_reader;

static inline metier_json *metier_read_value(metier_reader *reader);

static inline char metier_peek(const metier_reader *reader) { return reader->at < reader->end ? *reader->at : '\0'; }

static inline char metier_skip_blanks(metier_reader *reader) {
    char c = metier_peek(reader);
    while (c == ' ' || c == '\t' || c == '\r' || c == '\n') reader->at++, c = metier_peek(reader);
    return c;
}

static inline bool metier_take(metier_reader *reader, char wanted) {
    if (reader->at == reader->end || *reader->at != wanted) return false;
    reader->at++;
    return true;
}

static inline bool metier_take_digits(metier_reader *reader) {
    const char *start = reader->at;
    while (metier_peek(reader) >= '0' && metier_peek(reader) <= '9') reader->at++;
    return reader->at > start;
}

// The four hexadecimal digits of a \u escape; -1 where there are none.
static inline int32_t metier_read_hex(metier_reader *reader) {
    int32_t unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        char c = metier_peek(reader), lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') unit = unit << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f') unit = unit << 4 | (lower - 'a' + 10);
        else return -1;
    }
    return unit;
}

static inline void metier_append_code_point(metier_text *text, uint32_t c) {
    char bytes[4];
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(size == 1 ? c : ((0xF00u >> size) & 0xF0) | c);
    metier_append(text, bytes, size);
}

// The character after a backslash. Half a surrogate pair becomes U+FFFD.
static inline void metier_read_escape(metier_reader *reader, metier_text *out) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = metier_peek(reader);
    const char *named = c == '\0' ? NULL : strchr(names, c);
    if (reader->at < reader->end) reader->at++;
    if (named != NULL) {
        metier_append(out, meanings + (named - names), 1);
        return;
    }
    int32_t unit = c == 'u' ? metier_read_hex(reader) : -1;
    if (unit < 0) {
        reader->wrong = "unknown escape";
        return;
    }
    if (unit >= 0xD800 && unit < 0xDC00) {
        const char *before = reader->at;
        int32_t low = metier_take(reader, '\\') && metier_take(reader, 'u') ? metier_read_hex(reader) : -1;
        if (low >= 0xDC00 && low < 0xE000) unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        else reader->at = before;
    }
    metier_append_code_point(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : (uint32_t)unit);
}

static inline void metier_read_string(metier_reader *reader, metier_text *out) {
    metier_append(out, "", 0);
    if (!metier_take(reader, '"')) reader->wrong = "expected a string";
    while (reader->wrong == NULL && !metier_take(reader, '"')) {
        const char *start = reader->at;
        while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\\' &&
               (unsigned char)*reader->at >= 0x20) {
            reader->at++;
        }
        metier_append(out, start, (size_t)(reader->at - start));
        if (reader->at == reader->end) reader->wrong = "string without end";
        else if ((unsigned char)*reader->at < 0x20) reader->wrong = "control character in a string";
        else if (metier_take(reader, '\\')) metier_read_escape(reader, out);
    }
}

static inline metier_json *metier_read_number(metier_reader *reader) {
    const char *start = reader->at;
    metier_take(reader, '-');
    bool good = metier_take(reader, '0') || metier_take_digits(reader);
    if (good && metier_take(reader, '.')) good = metier_take_digits(reader);
    if (good && (metier_take(reader, 'e') || metier_take(reader, 'E'))) {
        if (!metier_take(reader, '+')) metier_take(reader, '-');
        good = metier_take_digits(reader);
    }
    if (!good) reader->wrong = "expected a value";
    return metier_value(METIER_NUMBER, start, (size_t)(reader->at - start));
}

static inline bool metier_take_word(metier_reader *reader, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) return false;
    reader->at += length;
    return true;
}

static inline void metier_read_member(metier_reader *reader, metier_json *value, bool named) {
    metier_text key = {NULL, 0, 0};
    if (named) {
        metier_skip_blanks(reader);
        metier_read_string(reader, &key);
        metier_skip_blanks(reader);
        if (reader->wrong == NULL && strlen(key.data) < key.length) reader->wrong = "a key with a NUL character";
        if (reader->wrong == NULL && !metier_take(reader, ':')) reader->wrong = "expected ':'";
    }
    if (reader->wrong != NULL) {
        free(key.data);
        return;
    }
    metier_json *member = metier_read_value(reader);
    member->key = key.data; // the host lets no object have a key twice, so none is looked for
    metier_add(value, member);
}

static inline metier_json *metier_read_members(metier_reader *reader, char close) {
    metier_json *value = close == '}' ? metier_object() : metier_list();
    reader->at++;
    if (metier_skip_blanks(reader) == close) {
        reader->at++;
        return value;
    }
    while (reader->wrong == NULL) {
        metier_read_member(reader, value, close == '}');
        if (reader->wrong != NULL) break;
        metier_skip_blanks(reader);
        if (metier_take(reader, close)) break;
        if (!metier_take(reader, ',')) reader->wrong = "expected ',' or the end of a list or object";
    }
    return value;
}

static inline metier_json *metier_read_value(metier_reader *reader) {
    metier_json *value;
    char c = metier_skip_blanks(reader);
    if (++reader->depth > METIER_DEEPEST) {
        reader->wrong = "nested too deeply";
        value = metier_null();
    } else if (c == '{') {
        value = metier_read_members(reader, '}');
    } else if (c == '[') {
        value = metier_read_members(reader, ']');
    } else if (c == '"') {
        value = metier_value(METIER_STRING, "", 0);
        metier_read_string(reader, &value->text);
    } else if (metier_take_word(reader, "null")) {
        value = metier_null();
    } else if (metier_take_word(reader, "true")) {
        value = metier_boolean(true);
    } else if (metier_take_word(reader, "false")) {
        value = metier_boolean(false);
    } else {
        value = metier_read_number(reader);
    }
    reader->depth--;
    return value;
}

// The one JSON value in `text`. Where it is none: NULL, and what is wrong in `*wrong` (which may be NULL).
static inline metier_json *metier_parse(const char *text, size_t length, const char **wrong) {
    metier_reader reader = {text, text + length, NULL, 0};
    metier_json *value = metier_read_value(&reader);
    metier_skip_blanks(&reader);
    if (reader.wrong == NULL && reader.at < reader.end) reader.wrong = "more text after the value";
    if (wrong != NULL) *wrong = reader.wrong;
    if (reader.wrong == NULL) return value;
    metier_free(value);
    return NULL;
}

// ---------------------------------------------------------------- input, output, failure

// The JSON value on stdin.
static inline metier_json *metier_input(void) {
    const char *wrong = NULL;
    metier_text text = metier_read_all(stdin);
    metier_json *value = metier_parse(text.data, text.length, &wrong);
    if (value == NULL) metier_error("invalid_input", "the input is not JSON: %s", wrong);
    free(text.data);
    return value;
}

// Writes a value to stdout. A program does it once, at its end.
static inline void metier_output(const metier_json *value) {
    metier_text out = {NULL, 0, 0};
    metier_write(&out, value);
    fwrite(out.data, 1, out.length, stdout);
    fflush(stdout);
    free(out.data);
}

static inline void metier_error(const char *kind, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    char *message = (char *)metier_allocate(NULL, size + 1);
    message[0] = '\0';
    vsnprintf(message, size + 1, format, again);
    va_end(again);
    va_end(arguments);
    metier_text out = {NULL, 0, 0};
    metier_append_text(&out, "{\"error\": ");
    metier_write_string(&out, message, strlen(message));
    metier_append_text(&out, ", \"kind\": ");
    metier_write_string(&out, kind, strlen(kind));
    metier_append_text(&out, "}\n");
    fflush(stdout);
    fwrite(out.data, 1, out.length, stderr);
    exit(1);
}

// ---------------------------------------------------------------- the host

// Passes one request, a JSON text, through the effect door: {"ok": value} or {"error": message, "kind": kind}. The caller
// frees the answer.
static inline char *metier_call_json(const char *request) {
    size_t size = (size_t)(uint32_t)metier_import_call(request, (int32_t)strlen(request));
    char *answer = (char *)metier_allocate(NULL, size + 1);
    metier_import_read(answer);
    answer[size] = '\0';
    return answer;
}

// Asks for an effect by its name; `fields` is an object with what belongs to it. Returns the value, or NULL and why.
static inline metier_json *metier_request(const char *op, metier_json *fields, metier_failure *failure) {
    metier_set(fields, "op", metier_string(op));
    char *request = metier_print(fields);
    char *answer = metier_call_json(request);
    metier_json *told = metier_parse(answer, strlen(answer), NULL);
    metier_json *value = metier_get(told, "ok");
    free(request);
    free(answer);
    metier_free(fields);
    if (value != NULL) { // taken out of the answer, so that the rest of it can go
        told->first = value->next;
        free(value->key);
        value->key = NULL, value->next = NULL;
        metier_free(told);
        return value;
    }
    const char *kind = metier_as_string(metier_get(told, "kind"));
    const char *message = metier_as_string(metier_get(told, "error"));
    if (kind == NULL) kind = "error";
    if (message == NULL) message = "the host gave no reason";
    if (failure == NULL) metier_error(kind, "%s", message);
    failure->kind = metier_copied(kind, strlen(kind));
    failure->message = metier_copied(message, strlen(message));
    metier_free(told);
    return NULL;
}

// Runs another capability and returns its output.
static inline metier_json *metier_call_capability(const char *id, metier_json *input, metier_failure *failure) {
    metier_json *fields = metier_object();
    metier_set(fields, "capability", metier_string(id));
    metier_set(fields, "input", input);
    return metier_request("call", fields, failure);
}

// Sends an HTTP request. `headers` is an object of strings or NULL; `body` a string, NULL, or any other value, which is
// sent as JSON.
static inline metier_json *metier_http_request(const char *method, const char *url, metier_json *headers,
                                               metier_json *body, metier_failure *failure) {
    metier_json *fields = metier_object();
    if (headers == NULL) headers = metier_object();
    if (body != NULL && body->kind >= METIER_LIST) {
        char *text = metier_print(body);
        metier_free(body);
        body = metier_string(text);
        free(text);
        metier_json *header = headers->first;
        while (header != NULL && strcasecmp(header->key, "content-type") != 0) header = header->next;
        if (header == NULL) metier_set(headers, "Content-Type", metier_string("application/json"));
    }
    metier_set(fields, "method", metier_string(method));
    metier_set(fields, "url", metier_string(url));
    metier_set(fields, "headers", headers);
    metier_set(fields, "body", body == NULL ? metier_null() : body);
    return metier_request("http.request", fields, failure);
}

static inline metier_json *metier_http_get(const char *url, metier_failure *failure) {
    return metier_http_request("GET", url, NULL, NULL, failure);
}

// Runs one SQL statement on a store that the operator named. `parameters` is a list, an object, or NULL for none.
static inline metier_json *metier_sql(const char *store, const char *statement, metier_json *parameters,
                                      metier_failure *failure) {
    metier_json *fields = metier_object();
    metier_set(fields, "store", metier_string(store));
    metier_set(fields, "statement", metier_string(statement));
    metier_set(fields, "parameters", parameters == NULL ? metier_list() : parameters);
    return metier_request("sql.query", fields, failure);
}

#endif
