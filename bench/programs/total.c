// The sum of price × count over the objects of a JSON text: a WASI command, or with -DEXTISM a plug-in for Extism.

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static char text[1 << 16];

static long total(size_t size) {
    long sum = 0, price = 0, count = 0;
    const char *key = text;
    size_t key_size = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"') {
            key = text + ++i;
            while (i < size && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
            key_size = (size_t)(text + i - key);
        } else if (text[i] >= '0' && text[i] <= '9') {
            long number = 0;
            while (i < size && text[i] >= '0' && text[i] <= '9') number = number * 10 + (text[i++] - '0');
            i--;
            if (key_size == 5 && memcmp(key, "price", 5) == 0) price = number;
            if (key_size == 5 && memcmp(key, "count", 5) == 0) count = number;
        } else if (text[i] == '}') {
            sum += price * count;
            price = count = 0;
        }
    }
    return sum;
}

#ifdef EXTISM

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name))) extern
HOST(input_length) uint64_t input_length(void);
HOST(input_load_u8) uint32_t input_load_u8(uint64_t at);
HOST(input_load_u64) uint64_t input_load_u64(uint64_t at);
HOST(alloc) uint64_t host_alloc(uint64_t size);
HOST(store_u8) void store_u8(uint64_t at, uint32_t byte);
HOST(output_set) void output_set(uint64_t at, uint64_t size);

__attribute__((export_name("total"))) int32_t plugin_total(void) {
    uint64_t size = input_length(), at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word = input_load_u64(at);
        memcpy(text + at, &word, 8);
    }
    for (; at < size; at++) text[at] = (char)input_load_u8(at);
    char out[64];
    uint64_t length = (uint64_t)snprintf(out, sizeof out, "{\"total\": %ld}", total(size));
    uint64_t answer = host_alloc(length);
    for (uint64_t i = 0; i < length; i++) store_u8(answer + i, (uint8_t)out[i]);
    output_set(answer, length);
    return 0;
}

#else

int main(void) {
    size_t size = fread(text, 1, sizeof text, stdin);
    printf("{\"total\": %ld}\n", total(size));
    return 0;
}

#endif
