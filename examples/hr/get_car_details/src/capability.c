// The car that one employee drives: reads {"employee_id" and/or "name"} on stdin, prints the car on stdout.
// A failure is {"error", "kind"} on stderr and exit status 1. C has no JSON in its library, so a small reader is here.

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEEPEST = 64 };

// ---------------------------------------------------------------- text

typedef struct {
    char *data;
    size_t length, capacity;
} Text;

static void write_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, data, length);
        if (written <= 0) _exit(1);
        data += written;
        length -= (size_t)written;
    }
}

static void *memory(void *old, size_t size) {
    static const char full[] = "{\"error\": \"out of memory\", \"kind\": \"out_of_memory\"}\n";
    void *grown = realloc(old, size);
    if (grown == NULL) {
        write_all(STDERR_FILENO, full, sizeof full - 1);
        _exit(1);
    }
    return grown;
}

static void append(Text *text, const char *data, size_t length) {
    if (text->capacity - text->length < length) {
        text->capacity = (text->length + length) * 2;
        text->data = memory(text->data, text->capacity);
    }
    if (length > 0) memcpy(text->data + text->length, data, length);
    text->length += length;
}

static void add(Text *text, const char *literal) { append(text, literal, strlen(literal)); }

static bool equals(Text text, const char *literal) {
    return text.length == strlen(literal) && memcmp(text.data, literal, text.length) == 0;
}

// Appends `text` as a JSON string.
static void add_quoted(Text *out, Text text) {
    static const char hex[] = "0123456789abcdef";
    add(out, "\"");
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        char escaped[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        if (c == '"' || c == '\\') add(out, "\\");
        if (c < 0x20) append(out, escaped, sizeof escaped);
        else append(out, (char *)&c, 1);
    }
    add(out, "\"");
}

static _Noreturn void fail(const char *kind, Text message) {
    Text out = {0};
    add(&out, "{\"error\": ");
    add_quoted(&out, message);
    add(&out, ", \"kind\": \"");
    add(&out, kind);
    add(&out, "\"}\n");
    write_all(STDERR_FILENO, out.data, out.length);
    _exit(1);
}

static _Noreturn void fail_saying(const char *kind, const char *start, const char *rest) {
    Text message = {0};
    add(&message, start);
    add(&message, rest);
    fail(kind, message);
}

// ---------------------------------------------------------------- UTF-8

// The code point at `at`, its length in `*length`; -1 where the bytes are not UTF-8 (RFC 3629).
static int32_t code_point(const unsigned char *at, size_t left, size_t *length) {
    static const int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xC0 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF8 ? 4 : 0;
    if (size == 0 || size > left) return -1;
    int32_t point = size == 1 ? at[0] : at[0] & (0x7F >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) return -1;
        point = point << 6 | (at[i] & 0x3F);
    }
    *length = size;
    return point < smallest[size] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000) ? -1 : point;
}

static bool is_utf8(Text text) {
    size_t length = 0;
    for (size_t i = 0; i < text.length; i += length) {
        if (code_point((unsigned char *)text.data + i, text.length - i, &length) < 0) return false;
    }
    return true;
}

static void add_code_point(Text *text, uint32_t c) {
    char bytes[4];
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(size == 1 ? c : (0xF00u >> size & 0xF0) | c);
    append(text, bytes, size);
}

// ---------------------------------------------------------------- JSON (RFC 8259)

typedef enum { LITERAL, NUMBER, STRING, LIST, OBJECT } Kind;

typedef struct Value {
    Kind kind;
    Text text;                  // a string's characters; a number's or literal's own spelling, so integers stay integers
    Text key;                   // what an object's member is called
    struct Value *first, *next; // members of a list or object; the next member beside this one
} Value;

typedef struct {
    const char *at, *end;
    const char *wrong; // what is wrong at `at`; NULL as long as all is well
    int depth;
} Reader;

static Value *read_value(Reader *reader);

static char peek(Reader *reader) { return reader->at < reader->end ? *reader->at : '\0'; }

static char skip_blanks(Reader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL && *reader->at != '\0') reader->at++;
    return peek(reader);
}

static bool take(Reader *reader, char wanted) {
    if (reader->at == reader->end || *reader->at != wanted) return false;
    reader->at++;
    return true;
}

static bool take_digits(Reader *reader) {
    const char *start = reader->at;
    while (peek(reader) >= '0' && peek(reader) <= '9') reader->at++;
    return reader->at > start;
}

// The four hexadecimal digits of a \u escape; -1 where there are none.
static int32_t read_hex(Reader *reader) {
    int32_t unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        char c = peek(reader);
        char lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') unit = unit << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f') unit = unit << 4 | (lower - 'a' + 10);
        else return -1;
    }
    return unit;
}

// The character after a backslash. Half a surrogate pair becomes U+FFFD, as in Go.
static void read_escape(Reader *reader, Text *out) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = peek(reader);
    const char *named = c == '\0' ? NULL : strchr(names, c);
    if (reader->at < reader->end) reader->at++;
    if (named != NULL) {
        append(out, meanings + (named - names), 1);
        return;
    }
    int32_t unit = c == 'u' ? read_hex(reader) : -1;
    if (unit < 0) {
        reader->wrong = "unknown escape";
        return;
    }
    if (unit >= 0xD800 && unit < 0xDC00) {
        const char *before = reader->at;
        int32_t low = take(reader, '\\') && take(reader, 'u') ? read_hex(reader) : -1;
        if (low >= 0xDC00 && low < 0xE000) {
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        } else {
            reader->at = before;
        }
    }
    add_code_point(out, unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : (uint32_t)unit);
}

static Text read_string(Reader *reader) {
    Text out = {0};
    if (!take(reader, '"')) reader->wrong = "expected a string";
    while (reader->wrong == NULL && !take(reader, '"')) {
        if (reader->at == reader->end) reader->wrong = "string without end";
        else if ((unsigned char)*reader->at < 0x20) reader->wrong = "control character in a string";
        else if (take(reader, '\\')) read_escape(reader, &out);
        else append(&out, reader->at++, 1);
    }
    return out;
}

static void read_number(Reader *reader, Value *value) {
    const char *start = reader->at;
    take(reader, '-');
    bool good = take(reader, '0') || take_digits(reader);
    if (good && take(reader, '.')) good = take_digits(reader);
    if (good && (take(reader, 'e') || take(reader, 'E'))) {
        if (!take(reader, '+')) take(reader, '-');
        good = take_digits(reader);
    }
    if (!good) reader->wrong = "expected a value";
    value->kind = NUMBER;
    append(&value->text, start, (size_t)(reader->at - start));
}

static bool read_literal(Reader *reader, Value *value) {
    static const char *const literals[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(literals[i]);
        if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, literals[i], length) != 0) continue;
        reader->at += length;
        value->kind = LITERAL;
        add(&value->text, literals[i]);
        return true;
    }
    return false;
}

static void read_members(Reader *reader, Value *value, char close) {
    Value **tail = &value->first;
    value->kind = close == '}' ? OBJECT : LIST;
    reader->at++;
    if (skip_blanks(reader) == close) {
        reader->at++;
        return;
    }
    while (reader->wrong == NULL) {
        Text key = {0};
        if (close == '}') {
            skip_blanks(reader);
            key = read_string(reader);
            skip_blanks(reader);
            if (reader->wrong == NULL && !take(reader, ':')) reader->wrong = "expected ':'";
        }
        if (reader->wrong != NULL) return;
        *tail = read_value(reader);
        (*tail)->key = key;
        tail = &(*tail)->next;
        skip_blanks(reader);
        if (take(reader, close)) return;
        if (!take(reader, ',') && reader->wrong == NULL) reader->wrong = "expected ',' or the end of a list or object";
    }
}

static Value *read_value(Reader *reader) {
    Value *value = memory(NULL, sizeof *value);
    memset(value, 0, sizeof *value);
    char c = skip_blanks(reader);
    if (++reader->depth > DEEPEST) reader->wrong = "nested too deeply";
    else if (c == '{') read_members(reader, value, '}');
    else if (c == '[') read_members(reader, value, ']');
    else if (c == '"') value->kind = STRING, value->text = read_string(reader);
    else if (!read_literal(reader, value)) read_number(reader, value);
    reader->depth--;
    return value;
}

// Never freed: the program ends before that could matter.
static Value *parse(Text text, const char *kind, const char *source) {
    Reader reader = {.at = text.data, .end = text.data + text.length};
    if (!is_utf8(text)) fail_saying(kind, source, " is not UTF-8");
    Value *value = read_value(&reader);
    skip_blanks(&reader);
    if (reader.wrong == NULL && reader.at < reader.end) reader.wrong = "more text after the value";
    if (reader.wrong != NULL) {
        Text message = {0};
        add(&message, source);
        add(&message, " is not JSON: ");
        add(&message, reader.wrong);
        fail(kind, message);
    }
    return value;
}

// The member called `key`, the last one if there are several; NULL if there is none.
static Value *member(const Value *object, const char *key) {
    Value *found = NULL;
    for (Value *m = object->kind == OBJECT ? object->first : NULL; m != NULL; m = m->next) {
        if (equals(m->key, key)) found = m;
    }
    return found;
}

// ---------------------------------------------------------------- files

static Text read_all(int fd) {
    Text text = {0};
    char chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) > 0) append(&text, chunk, (size_t)got);
    return text;
}

static Value *read_table(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail_saying("file_error", "cannot open ", path);
    Value *rows = parse(read_all(fd), "file_error", path);
    if (rows->kind != LIST) fail_saying("file_error", path, " is not a list");
    close(fd);
    return rows;
}

static Text field(const Value *row, const char *key, Kind kind, const char *path) {
    Value *value = member(row, key);
    if (value == NULL || value->kind != kind) {
        Text message = {0};
        add(&message, path);
        add(&message, " has a row without a usable ");
        add(&message, key);
        fail("file_error", message);
    }
    return value->text;
}

// ---------------------------------------------------------------- people

static const char PEOPLE[] = "/hr/employees.json", CARS[] = "/hr/cars.json";

// U+00C0 to U+017F without case and accents; a dot where a letter has no such form.
static const char BASE[] = "aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y"
                           "aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll."
                           "...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzzs";

// Roughly: beyond ASCII everything is a letter but punctuation, symbols and emoji.
static bool is_letter(int32_t c) {
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c < 0x2C00) && !(c >= 0x3000 && c < 0x3040) &&
           !(c >= 0x1F000 && c < 0x20000) && c != 0xFFFD;
}

// The words of `text` without case and accents, a space around each: " jurgen weiss ". Case is known for Latin letters.
static Text words(Text text) {
    Text out = {0};
    size_t length = 0;
    add(&out, " ");
    for (size_t i = 0; i < text.length; i += length) {
        int32_t c = code_point((unsigned char *)text.data + i, text.length - i, &length);
        char lower = (char)(c | 0x20);
        if (c >= 0x300 && c < 0x370) continue; // a combining accent
        if (c == 0xDF || c == 0x1E9E) add(&out, "ss");
        else if (c < 0x80 && ((lower >= 'a' && lower <= 'z') || c == '_')) append(&out, c == '_' ? "_" : &lower, 1);
        else if (c >= '0' && c <= '9') append(&out, text.data + i, 1);
        else if (c >= 0xC0 && c < 0x180 && BASE[c - 0xC0] != '.') append(&out, BASE + (c - 0xC0), 1);
        else if (c >= 0xC0 && c < 0xDF && c != 0xD7) add_code_point(&out, (uint32_t)c + 0x20);
        else if (c == 0x13F || c == 0x141) add_code_point(&out, (uint32_t)c + 1);
        else if (c >= 0x100 && c < 0x180 && c != 0x131 && c != 0x138 && c < 0x139) add_code_point(&out, (uint32_t)c | 1);
        else if (c >= 0x14A && c < 0x180) add_code_point(&out, (uint32_t)c | 1);
        else if (is_letter(c)) append(&out, text.data + i, length);
        else if (out.data[out.length - 1] != ' ') add(&out, " ");
    }
    if (out.data[out.length - 1] != ' ') add(&out, " ");
    return out;
}

static bool contains(Text text, const char *part, size_t length) {
    for (size_t i = 0; i + length <= text.length; i++) {
        if (memcmp(text.data + i, part, length) == 0) return true;
    }
    return false;
}

// Whether `wanted` has words and each of them is a whole word of `name`; both as words() makes them.
static bool names(Text wanted, Text name) {
    size_t start = 0;
    for (size_t i = 1; i < wanted.length; i++) {
        if (wanted.data[i] != ' ') continue;
        if (!contains(name, wanted.data + start, i + 1 - start)) return false;
        start = i;
    }
    return wanted.length > 1;
}

static bool same_id(Text a, Text b) {
    if (a.length != b.length) return false;
    for (size_t i = 0; i < a.length; i++) {
        char x = a.data[i], y = b.data[i];
        if ((x >= 'A' && x <= 'Z' ? x | 0x20 : x) != (y >= 'A' && y <= 'Z' ? y | 0x20 : y)) return false;
    }
    return true;
}

static void add_choice(Text *message, const Value *person) {
    Text name = field(person, "name", STRING, PEOPLE), id = field(person, "id", STRING, PEOPLE);
    append(message, name.data, name.length);
    add(message, " (");
    append(message, id.data, id.length);
    add(message, ")");
}

// The input's string called `key`; NULL if it is absent.
static Value *argument(const Value *input, const char *key) {
    Value *value = member(input, key);
    if (value != NULL && value->kind != STRING) fail_saying("invalid_input", key, " must be a string");
    return value;
}

// The one employee meant by `employee_id`, by `name`, or by both; accents and case do not matter.
static Value *find_person(Value *people, const Value *input) {
    Value *id = argument(input, "employee_id"), *name = argument(input, "name"), *found = NULL;
    if (id == NULL && name == NULL) fail_saying("invalid_input", "say who: employee_id or name", "");
    Text wanted = words(name == NULL ? (Text){0} : name->text), matching = {0}, with_id = {0}, everyone = {0};
    size_t matches = 0;
    for (Value *person = people->first; person != NULL; person = person->next) {
        bool id_fits = id == NULL || same_id(id->text, field(person, "id", STRING, PEOPLE));
        bool fits = id_fits && (name == NULL || names(wanted, words(field(person, "name", STRING, PEOPLE))));
        Text *lists[] = {&everyone, id_fits ? &with_id : NULL, fits ? &matching : NULL};
        for (size_t i = 0; i < 3; i++) {
            if (lists[i] == NULL) continue;
            if (lists[i]->length > 0) add(lists[i], ", ");
            add_choice(lists[i], person);
        }
        if (fits) found = person, matches++;
    }
    if (matches == 1) return found;

    bool ambiguous = matches > 1, conflict = !ambiguous && id != NULL && with_id.length > 0;
    Text said = ambiguous ? (name == NULL ? id : name)->text : (id == NULL ? name : id)->text;
    Text choices = ambiguous ? matching : conflict ? with_id : everyone, message = {0};
    add(&message, ambiguous ? "\"" : conflict ? "" : "no employee \"");
    append(&message, said.data, said.length);
    add(&message, ambiguous ? "\" is ambiguous: " : conflict ? " is not \"" : "\"; the choices: ");
    if (conflict) {
        append(&message, name->text.data, name->text.length);
        add(&message, "\": ");
    }
    append(&message, choices.data, choices.length);
    fail(ambiguous ? "ambiguous" : conflict ? "conflict" : "not_found", message);
}

// ---------------------------------------------------------------- the capability

static void add_member(Text *out, const char *key, Text value, bool quoted) {
    add(out, out->length == 0 ? "{\"" : ", \"");
    add(out, key);
    add(out, "\": ");
    if (quoted) add_quoted(out, value);
    else append(out, value.data, value.length);
}

int main(void) {
    Value *input = parse(read_all(STDIN_FILENO), "invalid_input", "the input");
    if (input->kind != OBJECT) fail_saying("invalid_input", "the input must be an object", "");
    Value *person = find_person(read_table(PEOPLE), input);
    Text id = field(person, "id", STRING, PEOPLE), name = field(person, "name", STRING, PEOPLE);

    Value *car = read_table(CARS)->first;
    while (car != NULL && !same_id(field(car, "employee_id", STRING, CARS), id)) car = car->next;
    if (car == NULL) {
        Text message = {0};
        add_choice(&message, person);
        add(&message, " has no car on record");
        fail("not_found", message);
    }

    Text out = {0};
    add_member(&out, "employee_id", id, true);
    add_member(&out, "name", name, true);
    add_member(&out, "make", field(car, "make", STRING, CARS), true);
    add_member(&out, "model", field(car, "model", STRING, CARS), true);
    add_member(&out, "year", field(car, "year", NUMBER, CARS), false);
    add_member(&out, "plate", field(car, "plate", STRING, CARS), true);
    add_member(&out, "ownership", field(car, "ownership", STRING, CARS), true);
    add(&out, "}\n");
    write_all(STDOUT_FILENO, out.data, out.length);
    return 0;
}
