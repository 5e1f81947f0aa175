/* What the parts of the door share. Everything is freestanding: no C library, no memory but that of the arena. */

#pragma once

#include <stdbool.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

/* In the order of `problem_names` in door.c. */
typedef enum {
    FINE, NOT_FOUND, DENIED, EXISTS, IS_DIRECTORY, NOT_DIRECTORY, NOT_EMPTY, INVALID, NO_SPACE, CROSS_ROOT, LOOP,
    OUTSIDE, NAME_TOO_LONG, FAILED
} Problem;

typedef struct {
    const char *data;
    uint32_t size;
} Text;

/* A text that grows. */
typedef struct {
    char *data;
    uint32_t size, room;
} Buffer;

typedef struct {
    uint32_t handle;
    Text name;
} Root;

typedef struct {
    bool is_directory, is_file;
    uint64_t size;
} Status;

typedef struct {
    Text *items;
    uint32_t count, room;
} Names;

enum { READ = 1, WRITE = 2, CREATE = 4, EXCLUSIVE = 8, TRUNCATE = 16, DIRECTORY = 32 };

/* arena.c: memory that is taken piece by piece and let go of at once. In a component it is a module of its own, which is
 * there before what needs memory to be lowered. */
#ifdef IN_COMPONENT
IMPORT("arena", "realloc")
#endif
void *arena_realloc(void *old, uint32_t old_size, uint32_t alignment, uint32_t size);
#ifdef IN_COMPONENT
IMPORT("arena", "reset")
#endif
void arena_reset(void);

/* text.c */
void append(Buffer *buffer, const char *data, uint32_t size);
void append_number(Buffer *buffer, uint64_t number);
void append_string(Buffer *buffer, Text text);
void append_base64(Buffer *buffer, Text data);
bool from_base64(Text text, Buffer *data);
bool is_utf8(Text text);
bool same(Text text, const char *word);
int compare(Text a, Text b);
void add_name(Names *names, const char *data, uint32_t size);
/* The string that is the value of `key` in an object of JSON; false where there is none. */
bool json_string(Text object, const char *key, Text *value);

/* door.c: the answer to one request */
Text answered(Text request);

/* preview1.c, preview2.c: the files of the host that this is run by. Paths are relative to the handle of a folder. */
uint32_t host_roots(Root **roots);
void host_release(Root *roots, uint32_t count);
Problem host_open(uint32_t folder, Text path, unsigned how, uint32_t *file);
void host_close(uint32_t file);
Problem host_read(uint32_t file, Buffer *content);
Problem host_write(uint32_t file, Text content);
Problem host_names(uint32_t folder, Names *names);
Problem host_status(uint32_t folder, Text path, bool follow, Status *status);
Problem host_make_directory(uint32_t folder, Text path);
Problem host_remove_directory(uint32_t folder, Text path);
Problem host_remove(uint32_t folder, Text path);
Problem host_rename(uint32_t folder, Text path, uint32_t to_folder, Text to);
