/* The door on WASI 0.2, for the Python engine, which is a component: what it imports, and what runs it.
 *
 * Functions have the flattened signatures of the canonical ABI; results with more than one value are laid out at `into`,
 * as the ABI has them. */

#include "door.h"

#define TYPES "wasi:filesystem/types"
#define STREAMS "wasi:io/streams"
#define CHUNK 65536u
#define MOST_WRITTEN 4096u
/* What `blocking-write-and-flush` takes at once. */
enum { FOLLOW = 1, FLAG_READ = 1, FLAG_WRITE = 2, FLAG_MUTATE = 32 };
enum { OPEN_CREATE = 1, OPEN_DIRECTORY = 2, OPEN_EXCLUSIVE = 4, OPEN_TRUNCATE = 8 };
enum { TYPE_DIRECTORY = 3, TYPE_FILE = 6 };

/* Results: `failed` first, then the value, or the error in its place. */
typedef struct {
    uint8_t failed, error;
} Nothing;
typedef struct {
    uint8_t failed;
    union {
        uint32_t handle;
        uint8_t error;
    };
} Handle;
typedef struct {
    uint8_t failed;
    union {
        struct {
            char *data;
            uint32_t size;
            bool at_end;
        };
        uint8_t error;
    };
} Content;
typedef struct {
    uint8_t failed;
    union {
        uint64_t size;
        uint8_t error;
    };
} Size;
typedef struct {
    uint8_t failed;
    union {
        struct {
            uint8_t is_some;
            struct {
                uint8_t type;
                char *name;
                uint32_t name_size;
            } entry;
        };
        uint8_t error;
    };
} NextEntry;
typedef struct {
    uint8_t failed;
    union {
        struct {
            uint8_t type;
            uint64_t links, size;
            struct {
                uint8_t is_some;
                uint64_t seconds;
                uint32_t nanoseconds;
            } times[3];
        } status;
        uint8_t error;
    };
} FoundStatus;
typedef struct {
    uint8_t failed;
    uint32_t kind, error;
} Written;
typedef struct {
    Root *items;
    uint32_t count;
} Directories;
typedef struct {
    uint8_t failed;
    char *data;
    uint32_t size;
} Outcome;

IMPORT("wasi:filesystem/preopens", "get-directories") void get_directories(Directories *into);
IMPORT(TYPES, "[method]descriptor.open-at") void open_at(uint32_t folder, uint32_t lookup, const char *path,
    uint32_t size, uint32_t open_flags, uint32_t flags, Handle *into);
IMPORT(TYPES, "[method]descriptor.read") void read_at(uint32_t file, uint64_t size, uint64_t offset, Content *into);
IMPORT(TYPES, "[method]descriptor.write") void write_at(uint32_t file, const char *data, uint32_t size, uint64_t offset,
    Size *into);
IMPORT(TYPES, "[method]descriptor.read-directory") void read_directory(uint32_t folder, Handle *into);
IMPORT(TYPES, "[method]directory-entry-stream.read-directory-entry") void read_entry(uint32_t stream, NextEntry *into);
IMPORT(TYPES, "[method]descriptor.stat-at") void stat_at(uint32_t folder, uint32_t lookup, const char *path,
    uint32_t size, FoundStatus *into);
IMPORT(TYPES, "[method]descriptor.create-directory-at") void create_directory_at(uint32_t folder, const char *path,
    uint32_t size, Nothing *into);
IMPORT(TYPES, "[method]descriptor.remove-directory-at") void remove_directory_at(uint32_t folder, const char *path,
    uint32_t size, Nothing *into);
IMPORT(TYPES, "[method]descriptor.unlink-file-at") void unlink_file_at(uint32_t folder, const char *path, uint32_t size,
    Nothing *into);
IMPORT(TYPES, "[method]descriptor.rename-at") void rename_at(uint32_t folder, const char *path, uint32_t size,
    uint32_t to_folder, const char *to, uint32_t to_size, Nothing *into);
IMPORT(TYPES, "[resource-drop]descriptor") void drop_descriptor(uint32_t file);
IMPORT(TYPES, "[resource-drop]directory-entry-stream") void drop_entries(uint32_t stream);
IMPORT("wasi:cli/stdin", "get-stdin") uint32_t get_stdin(void);
IMPORT("wasi:cli/stdout", "get-stdout") uint32_t get_stdout(void);
IMPORT("wasi:cli/stderr", "get-stderr") uint32_t get_stderr(void);
IMPORT(STREAMS, "[method]input-stream.read") void read_stream(uint32_t stream, uint64_t size, Content *into);
IMPORT(STREAMS, "[method]input-stream.subscribe") uint32_t subscribe(uint32_t stream);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void write_stream(uint32_t stream, const char *data,
    uint32_t size, Written *into);
IMPORT(STREAMS, "[resource-drop]output-stream") void drop_output(uint32_t stream);
IMPORT(STREAMS, "[resource-drop]input-stream") void drop_input(uint32_t stream);
IMPORT("wasi:io/poll", "[method]pollable.block") void block(uint32_t pollable);
IMPORT("wasi:io/poll", "[resource-drop]pollable") void drop_pollable(uint32_t pollable);
IMPORT("wasi:clocks/monotonic-clock", "subscribe-duration") uint32_t subscribe_duration(uint64_t nanoseconds);

/* `error-code` of wasi:filesystem/types, by number. */
static Problem problem(uint8_t failed, uint8_t error)
{
    if (!failed)
        return FINE;
    switch (error) {
    case 0: case 31: case 33: return DENIED;
    case 6: case 23: return NO_SPACE;
    case 7: return EXISTS;
    case 9: case 12: return INVALID;
    case 14: return IS_DIRECTORY;
    case 15: return LOOP;
    case 18: return NAME_TOO_LONG;
    case 20: return NOT_FOUND;
    case 24: return NOT_DIRECTORY;
    case 25: return NOT_EMPTY;
    case 36: return CROSS_ROOT;
    default: return FAILED;
    }
}

uint32_t host_roots(Root **roots)
{
    Directories found;
    get_directories(&found);
    *roots = found.items;
    return found.count;
}

void host_release(Root *roots, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        drop_descriptor(roots[i].handle);
}

Problem host_open(uint32_t folder, Text path, unsigned how, uint32_t *file)
{
    uint32_t open_flags = (how & CREATE ? OPEN_CREATE : 0) | (how & EXCLUSIVE ? OPEN_EXCLUSIVE : 0) |
                          (how & TRUNCATE ? OPEN_TRUNCATE : 0) | (how & DIRECTORY ? OPEN_DIRECTORY : 0);
    Handle opened;
    open_at(folder, how & EXCLUSIVE ? 0 : FOLLOW, path.data, path.size, open_flags, how & WRITE ? FLAG_WRITE : FLAG_READ,
            &opened);
    *file = opened.handle;
    return problem(opened.failed, opened.error);
}

void host_close(uint32_t file)
{
    drop_descriptor(file);
}

Problem host_read(uint32_t file, Buffer *content)
{
    Content part;
    do {
        read_at(file, CHUNK, content->size, &part);
        if (part.failed)
            return problem(part.failed, part.error);
        append(content, part.data, part.size);
    } while (!part.at_end);
    return FINE;
}

Problem host_write(uint32_t file, Text content)
{
    uint64_t offset = 0;
    while (offset < content.size) {
        Size written;
        write_at(file, content.data + offset, content.size - offset, offset, &written);
        if (written.failed || written.size == 0)
            return written.failed ? problem(written.failed, written.error) : FAILED;
        offset += written.size;
    }
    return FINE;
}

Problem host_names(uint32_t folder, Names *names)
{
    Handle entries;
    NextEntry next;
    read_directory(folder, &entries);
    if (entries.failed)
        return problem(entries.failed, entries.error);
    while (read_entry(entries.handle, &next), !next.failed && next.is_some)
        add_name(names, next.entry.name, next.entry.name_size);
    drop_entries(entries.handle);
    return problem(next.failed, next.error);
}

Problem host_status(uint32_t folder, Text path, bool follow, Status *status)
{
    FoundStatus found;
    stat_at(folder, follow ? FOLLOW : 0, path.data, path.size, &found);
    if (!found.failed)
        *status = (Status){found.status.type == TYPE_DIRECTORY, found.status.type == TYPE_FILE, found.status.size};
    return problem(found.failed, found.error);
}

Problem host_make_directory(uint32_t folder, Text path)
{
    Nothing done;
    create_directory_at(folder, path.data, path.size, &done);
    return problem(done.failed, done.error);
}

Problem host_remove_directory(uint32_t folder, Text path)
{
    Nothing done;
    remove_directory_at(folder, path.data, path.size, &done);
    return problem(done.failed, done.error);
}

Problem host_remove(uint32_t folder, Text path)
{
    Nothing done;
    unlink_file_at(folder, path.data, path.size, &done);
    return problem(done.failed, done.error);
}

Problem host_rename(uint32_t folder, Text path, uint32_t to_folder, Text to)
{
    Nothing done;
    rename_at(folder, path.data, path.size, to_folder, to.data, to.size, &done);
    return problem(done.failed, done.error);
}

/* What the engine imports */

EXPORT("host-call") const Text *host_call(const char *request, uint32_t size)
{
    static Text answer;
    answer = answered((Text){request, size});
    return &answer;
}

EXPORT("host-call-done") void host_call_done(const Text *answer)
{
    arena_reset();
}

static void write_all(uint32_t stream, const char *data, uint32_t size)
{
    Written written = {0};
    for (uint32_t at = 0; at < size && !written.failed; at += MOST_WRITTEN)
        write_stream(stream, data + at, size - at < MOST_WRITTEN ? size - at : MOST_WRITTEN, &written);
    drop_output(stream);
}

EXPORT("write-stderr") void write_stderr(const char *text, uint32_t size)
{
    write_all(get_stderr(), text, size);
    arena_reset();
}

EXPORT("sleep") void sleep_for(uint64_t nanoseconds)
{
    uint32_t timer = subscribe_duration(nanoseconds);
    block(timer);
    drop_pollable(timer);
}

/* What runs the engine */

/* What the engine is given, and where it leaves what it returns: not in the arena, which each request empties. */
static struct {
    Text input;
    Outcome outcome;
} exchange;

/* Everything on stdin; NULL, after saying so, where it is no text. */
EXPORT("input") const void *input(void)
{
    static const char refusal[] = "{\"error\":\"the input is not UTF-8 text\",\"kind\":\"input\"}\n";
    Buffer content = {0};
    Content part;
    uint32_t stream = get_stdin();
    while (read_stream(stream, CHUNK, &part), !part.failed) {
        append(&content, part.data, part.size);
        if (part.size == 0) {
            uint32_t ready = subscribe(stream);
            block(ready);
            drop_pollable(ready);
        }
    }
    drop_input(stream);
    exchange.input = (Text){content.data, content.size};
    if (is_utf8(exchange.input))
        return &exchange;
    write_all(get_stderr(), refusal, sizeof refusal - 1);
    return 0;
}

/* Output on stdout, a failure on stderr. Returns whether it failed. */
EXPORT("output") uint32_t output(void)
{
    Outcome outcome = exchange.outcome;
    write_all(outcome.failed ? get_stderr() : get_stdout(), outcome.data, outcome.size);
    if (outcome.failed)
        write_all(get_stderr(), "\n", 1);
    return outcome.failed;
}
