/* The door on WASI preview 1, for a core module: it shares the program's memory, and is what `metier.call` leads to. */

#include "door.h"

#define WASI(name) IMPORT("wasi_snapshot_preview1", #name) uint16_t name
#define CHUNK 65536u
#define FIRST_ROOT 3u
#define RIGHTS_READ (1ull << 1 | 1ull << 2 | 1ull << 14 | 1ull << 18 | 1ull << 21)
#define RIGHTS_WRITE (1ull << 6 | 1ull << 22)
enum { OFLAG_CREATE = 1, OFLAG_DIRECTORY = 2, OFLAG_EXCLUSIVE = 4, OFLAG_TRUNCATE = 8 };
enum { TYPE_DIRECTORY = 3, TYPE_FILE = 4 };

typedef struct {
    void *data;
    uint32_t size;
} Vector;

typedef struct {
    uint64_t device, inode;
    uint8_t type;
    uint64_t links, size, accessed, modified, changed;
} FileStatus;

typedef struct {
    uint64_t next, inode;
    uint32_t name_size;
    uint8_t type;
} Entry;

typedef struct {
    uint8_t kind;
    uint32_t name_size;
} Prestat;

WASI(fd_prestat_get)(uint32_t fd, Prestat *prestat);
WASI(fd_prestat_dir_name)(uint32_t fd, char *name, uint32_t size);
WASI(path_open)(uint32_t fd, uint32_t lookup, const char *path, uint32_t size, uint32_t flags, uint64_t rights,
                uint64_t inheriting, uint32_t fd_flags, uint32_t *opened);
WASI(fd_close)(uint32_t fd);
WASI(fd_read)(uint32_t fd, const Vector *vectors, uint32_t count, uint32_t *size);
WASI(fd_write)(uint32_t fd, const Vector *vectors, uint32_t count, uint32_t *size);
WASI(fd_readdir)(uint32_t fd, char *buffer, uint32_t size, uint64_t cookie, uint32_t *used);
WASI(path_filestat_get)(uint32_t fd, uint32_t lookup, const char *path, uint32_t size, FileStatus *status);
WASI(path_create_directory)(uint32_t fd, const char *path, uint32_t size);
WASI(path_remove_directory)(uint32_t fd, const char *path, uint32_t size);
WASI(path_unlink_file)(uint32_t fd, const char *path, uint32_t size);
WASI(path_rename)(uint32_t fd, const char *path, uint32_t size, uint32_t to_fd, const char *to, uint32_t to_size);

/* Numbers of `errno` in the witx of WASI preview 1. */
static Problem problem(uint16_t error)
{
    switch (error) {
    case 0: return FINE;
    case 2: case 63: case 69: case 76: return DENIED;
    case 20: return EXISTS;
    case 25: case 28: return INVALID;
    case 31: return IS_DIRECTORY;
    case 32: return LOOP;
    case 37: return NAME_TOO_LONG;
    case 44: return NOT_FOUND;
    case 19: case 51: return NO_SPACE;
    case 54: return NOT_DIRECTORY;
    case 55: return NOT_EMPTY;
    case 75: return CROSS_ROOT;
    default: return FAILED;
    }
}

uint32_t host_roots(Root **roots)
{
    uint32_t count = 0;
    Prestat prestat;
    while (fd_prestat_get(FIRST_ROOT + count, &prestat) == 0)
        count++;
    *roots = arena_realloc(0, 0, 8, count * sizeof(Root));
    for (uint32_t i = 0; i < count; i++) {
        fd_prestat_get(FIRST_ROOT + i, &prestat);
        char *name = arena_realloc(0, 0, 1, prestat.name_size);
        fd_prestat_dir_name(FIRST_ROOT + i, name, prestat.name_size);
        (*roots)[i] = (Root){FIRST_ROOT + i, {name, prestat.name_size}};
    }
    return count;
}

void host_release(Root *roots, uint32_t count)
{
}

Problem host_open(uint32_t folder, Text path, unsigned how, uint32_t *file)
{
    uint32_t flags = (how & CREATE ? OFLAG_CREATE : 0) | (how & EXCLUSIVE ? OFLAG_EXCLUSIVE : 0) |
                     (how & TRUNCATE ? OFLAG_TRUNCATE : 0) | (how & DIRECTORY ? OFLAG_DIRECTORY : 0);
    uint64_t rights = how & WRITE ? RIGHTS_WRITE : RIGHTS_READ;
    return problem(path_open(folder, how & EXCLUSIVE ? 0 : 1, path.data, path.size, flags, rights, 0, 0, file));
}

void host_close(uint32_t file)
{
    fd_close(file);
}

Problem host_read(uint32_t file, Buffer *content)
{
    char *chunk = arena_realloc(0, 0, 1, CHUNK);
    Vector vector = {chunk, CHUNK};
    uint32_t size;
    uint16_t error;
    while ((error = fd_read(file, &vector, 1, &size)) == 0 && size > 0)
        append(content, chunk, size);
    return problem(error);
}

Problem host_write(uint32_t file, Text content)
{
    while (content.size > 0) {
        Vector vector = {(void *)content.data, content.size};
        uint32_t size;
        uint16_t error = fd_write(file, &vector, 1, &size);
        if (error != 0 || size == 0)
            return error != 0 ? problem(error) : FAILED;
        content.data += size;
        content.size -= size;
    }
    return FINE;
}

Problem host_names(uint32_t folder, Names *names)
{
    uint64_t cookie = 0;
    for (;;) {
        char *buffer = arena_realloc(0, 0, 8, CHUNK);
        uint32_t used, at = 0;
        uint16_t error = fd_readdir(folder, buffer, CHUNK, cookie, &used);
        if (error != 0)
            return problem(error);
        while (used - at >= sizeof(Entry)) {
            Entry entry;
            __builtin_memcpy(&entry, buffer + at, sizeof entry);
            const char *name = buffer + at + sizeof entry;
            if (used - at - sizeof entry < entry.name_size)
                break;
            at += sizeof entry + entry.name_size;
            cookie = entry.next;
            if (!same((Text){name, entry.name_size}, ".") && !same((Text){name, entry.name_size}, ".."))
                add_name(names, name, entry.name_size);
        }
        if (used < CHUNK || at == 0)
            return FINE;
    }
}

Problem host_status(uint32_t folder, Text path, bool follow, Status *status)
{
    FileStatus found;
    uint16_t error = path_filestat_get(folder, follow, path.data, path.size, &found);
    if (error == 0)
        *status = (Status){found.type == TYPE_DIRECTORY, found.type == TYPE_FILE, found.size};
    return problem(error);
}

Problem host_make_directory(uint32_t folder, Text path)
{
    return problem(path_create_directory(folder, path.data, path.size));
}

Problem host_remove_directory(uint32_t folder, Text path)
{
    return problem(path_remove_directory(folder, path.data, path.size));
}

Problem host_remove(uint32_t folder, Text path)
{
    return problem(path_unlink_file(folder, path.data, path.size));
}

Problem host_rename(uint32_t folder, Text path, uint32_t to_folder, Text to)
{
    return problem(path_rename(folder, path.data, path.size, to_folder, to.data, to.size));
}

/* What a program imports as `metier` */

static Text answer;

EXPORT("call") uint32_t metier_call(const char *request, uint32_t size)
{
    answer = answered((Text){request, size});
    return answer.size;
}

EXPORT("read") void metier_read(char *into)
{
    __builtin_memcpy(into, answer.data, answer.size);
    arena_reset();
}
