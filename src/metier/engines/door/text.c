/* Texts, and as much of JSON and base64 as requests and answers have. */

#include "door.h"

static const char digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void append(Buffer *buffer, const char *data, uint32_t size)
{
    if (buffer->room - buffer->size < size) {
        uint32_t room = buffer->room < 1024 ? 1024 : 2 * buffer->room;
        if (room - buffer->size < size)
            room = buffer->size + size;
        buffer->data = arena_realloc(buffer->data, buffer->size, 1, room);
        buffer->room = room;
    }
    __builtin_memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void append_number(Buffer *buffer, uint64_t number)
{
    char text[20];
    uint32_t at = sizeof text;
    do
        text[--at] = '0' + number % 10;
    while ((number /= 10) != 0);
    append(buffer, text + at, sizeof text - at);
}

void append_string(Buffer *buffer, Text text)
{
    append(buffer, "\"", 1);
    for (uint32_t from = 0, at = 0; at <= text.size; at++) {
        unsigned char c = at < text.size ? text.data[at] : 0;
        if (at < text.size && c >= ' ' && c != '"' && c != '\\')
            continue;
        append(buffer, text.data + from, at - from);
        from = at + 1;
        if (at < text.size) {
            char escaped[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
            append(buffer, escaped, sizeof escaped);
        }
    }
    append(buffer, "\"", 1);
}

void append_base64(Buffer *buffer, Text data)
{
    for (uint32_t at = 0; at < data.size; at += 3) {
        uint32_t left = data.size - at, bits = 0;
        for (uint32_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < left ? (unsigned char)data.data[at + i] : 0);
        char group[4];
        for (uint32_t i = 0; i < 4; i++)
            group[i] = i <= left ? base64_digits[bits >> (18 - 6 * i) & 63] : '=';
        append(buffer, group, 4);
    }
}

static int base64_digit(char c)
{
    for (int i = 0; i < 64; i++)
        if (base64_digits[i] == c)
            return i;
    return -1;
}

bool from_base64(Text text, Buffer *data)
{
    if (text.size % 4 != 0)
        return false;
    for (uint32_t at = 0; at < text.size; at += 4) {
        uint32_t bits = 0, padding = 0;
        for (uint32_t i = 0; i < 4; i++) {
            char c = text.data[at + i];
            bool pads = c == '=' && i >= 2 && at + 4 == text.size;
            int digit = pads ? 0 : base64_digit(c);
            if (digit < 0 || (padding > 0 && !pads))
                return false;
            padding += pads;
            bits = bits << 6 | (uint32_t)digit;
        }
        char bytes[] = {bits >> 16, bits >> 8, bits};
        append(data, bytes, 3 - padding);
    }
    return true;
}

/* Unicode 15, table 3-7: well-formed UTF-8. */
bool is_utf8(Text text)
{
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    while (at < end) {
        unsigned char c = *at++;
        if (c < 0x80)
            continue;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || end - at < more)
            return false;
        unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
        unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (*at < low || *at > high)
            return false;
        for (at++; more > 1; more--, at++)
            if ((*at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static uint32_t length(const char *word)
{
    uint32_t size = 0;
    while (word[size] != 0)
        size++;
    return size;
}

bool same(Text text, const char *word)
{
    return compare(text, (Text){word, length(word)}) == 0;
}

int compare(Text a, Text b)
{
    for (uint32_t i = 0; i < a.size && i < b.size; i++)
        if (a.data[i] != b.data[i])
            return (unsigned char)a.data[i] < (unsigned char)b.data[i] ? -1 : 1;
    return a.size < b.size ? -1 : a.size > b.size;
}

void add_name(Names *names, const char *data, uint32_t size)
{
    if (names->count == names->room) {
        uint32_t old = names->room * sizeof(Text);
        names->room = names->room == 0 ? 64 : 2 * names->room;
        names->items = arena_realloc(names->items, old, 8, names->room * sizeof(Text));
    }
    names->items[names->count++] = (Text){data, size};
}

/* JSON. Requests come from the SDKs and are well-formed; what is not reads as something else, never past its end. */

static uint32_t past_space(Text text, uint32_t at)
{
    while (at < text.size && (text.data[at] == ' ' || (text.data[at] >= '\t' && text.data[at] <= '\r')))
        at++;
    return at;
}

static uint32_t hexadecimal(Text text, uint32_t at)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < 4 && at + i < text.size; i++) {
        char c = text.data[at + i] | 0x20;
        value = value << 4 | (uint32_t)(c >= 'a' ? c - 'a' + 10 : c & 15);
    }
    return value & 0xffff;
}

static void append_character(Buffer *buffer, uint32_t code)
{
    char bytes[4];
    uint32_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = size - 1; i > 0; i--, code >>= 6)
        bytes[i] = 0x80 | (code & 0x3f);
    bytes[0] = size == 1 ? code : (uint8_t)(0xf00 >> size) | code;
    append(buffer, bytes, size);
}

/* The end of the string that begins at the quote at `at`; its characters go to `value` where that is not NULL. */
static uint32_t past_string(Text text, uint32_t at, Buffer *value)
{
    for (at++; at < text.size && text.data[at] != '"'; at++) {
        char c = text.data[at];
        if (c == '\\' && ++at < text.size) {
            c = text.data[at];
            if (c == 'u') {
                uint32_t code = hexadecimal(text, at + 1);
                at += 4;
                bool pairs = (code & 0xfc00) == 0xd800 && at + 6 < text.size && text.data[at + 1] == '\\' &&
                             text.data[at + 2] == 'u' && (hexadecimal(text, at + 3) & 0xfc00) == 0xdc00;
                if (pairs) {
                    code = 0x10000 + ((code & 0x3ff) << 10 | (hexadecimal(text, at + 3) & 0x3ff));
                    at += 6;
                }
                if (value != 0)
                    append_character(value, code);
                continue;
            }
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
        }
        if (value != 0)
            append(value, &c, 1);
    }
    return at + 1;
}

static uint32_t past_value(Text text, uint32_t at)
{
    for (uint32_t depth = 0; at < text.size; at++) {
        char c = text.data[at];
        if (c == '"') {
            at = past_string(text, at, 0) - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at;
            depth--;
        } else if (c == ',' && depth == 0) {
            return at;
        }
    }
    return text.size;
}

bool json_string(Text object, const char *key, Text *value)
{
    uint32_t at = past_space(object, 0);
    while (++at < object.size) {
        at = past_space(object, at);
        if (at >= object.size || object.data[at] != '"')
            return false;
        Buffer name = {0}, text = {0};
        at = past_space(object, past_string(object, at, &name));
        at = past_space(object, at + 1);
        bool found = same((Text){name.data, name.size}, key) && at < object.size && object.data[at] == '"';
        if (found) {
            past_string(object, at, &text);
            *value = (Text){text.data, text.size};
            return true;
        }
        at = past_value(object, at);
    }
    return false;
}
