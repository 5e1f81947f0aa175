/* The door of a program that runs without Metier: its files are those that the host gave it, and nothing else is there.
 *
 * A folder that the host opened as `hr` or `/hr` is the root `hr`. Requests and answers are those of Metier's own door. */

#include "door.h"

static const char *const problem_names[] = {
    "fine",         "not_found", "denied",   "exists",     "is_directory", "not_directory", "not_empty",
    "invalid",      "no_space",  "cross_root", "loop",     "outside",      "name_too_long", "failed",
};

typedef struct {
    Root *roots;
    uint32_t count;
} Host;

/* Where a path leads: a folder of the host and the path in it. */
typedef struct {
    Text whole, relative;
    uint32_t folder;
    bool is_top, exists;
} Place;

static void append_word(Buffer *buffer, const char *word)
{
    while (*word != 0)
        append(buffer, word++, 1);
}

/* Without empty segments, "." and "..": "/hr/a.json"; "/" alone for the top. */
static Text normal(Text path)
{
    Buffer result = {0};
    for (uint32_t at = 0, end; at < path.size; at = end + 1) {
        for (end = at; end < path.size && path.data[end] != '/'; end++)
            continue;
        Text segment = {path.data + at, end - at};
        if (segment.size == 0 || same(segment, "."))
            continue;
        if (same(segment, "..")) {
            while (result.size > 0 && result.data[--result.size] != '/')
                continue;
            continue;
        }
        append(&result, "/", 1);
        append(&result, segment.data, segment.size);
    }
    if (result.size == 0)
        append(&result, "/", 1);
    return (Text){result.data, result.size};
}

/* The path of what is left of `path` beneath `name`, if it is there: the longest name wins. */
static Place placed(Host host, Text path)
{
    Place place = {.whole = normal(path)};
    uint32_t longest = 0;
    place.is_top = place.whole.size == 1;
    for (uint32_t i = 0; i < host.count; i++) {
        Text name = normal(host.roots[i].name);
        uint32_t size = name.size == 1 ? 0 : name.size;
        bool begins = place.whole.size >= size && compare((Text){place.whole.data, size}, (Text){name.data, size}) == 0;
        bool ends = place.whole.size == size || place.whole.data[size] == '/';
        if (!begins || !ends || (place.exists && size < longest))
            continue;
        place.exists = true;
        place.folder = host.roots[i].handle;
        longest = size;
        place.relative = (Text){".", 1};
        if (place.whole.size > size + 1)
            place.relative = (Text){place.whole.data + size + 1, place.whole.size - size - 1};
    }
    return place;
}

static Problem status_of(Place place, bool follow, Status *status)
{
    if (place.is_top) {
        *status = (Status){.is_directory = true};
        return FINE;
    }
    return place.exists ? host_status(place.folder, place.relative, follow, status) : NOT_FOUND;
}

static Problem must_be_directory(Place place)
{
    Status status;
    Problem problem = status_of(place, true, &status);
    return problem != FINE ? problem : status.is_directory ? FINE : NOT_DIRECTORY;
}

/* Operations. What they answer goes to `answer`. */

static Problem read_file(Place place, Buffer *answer)
{
    Status status;
    Problem problem = status_of(place, true, &status);
    uint32_t file;
    Buffer content = {0};
    if (problem == FINE && !status.is_file)
        problem = status.is_directory ? IS_DIRECTORY : NOT_FOUND;
    if (problem == FINE)
        problem = host_open(place.folder, place.relative, READ, &file);
    if (problem != FINE)
        return problem;
    problem = host_read(file, &content);
    host_close(file);
    Text data = {content.data, content.size};
    if (problem == FINE && is_utf8(data)) {
        append_word(answer, "{\"text\":");
        append_string(answer, data);
        append_word(answer, "}");
    } else if (problem == FINE) {
        append_word(answer, "{\"base64\":\"");
        append_base64(answer, data);
        append_word(answer, "\"}");
    }
    return problem;
}

static Problem write_file(Place place, Text request)
{
    Text content = {0}, encoded, mode;
    Buffer decoded = {0};
    uint32_t file;
    bool creates = json_string(request, "mode", &mode) && same(mode, "create");
    if (json_string(request, "base64", &encoded)) {
        if (!from_base64(encoded, &decoded))
            return INVALID;
        content = (Text){decoded.data, decoded.size};
    } else if (!json_string(request, "text", &content)) {
        return INVALID;
    }
    if (place.is_top)
        return IS_DIRECTORY;
    if (!place.exists)
        return DENIED;
    Status status;
    if (host_status(place.folder, place.relative, true, &status) == FINE && (creates || status.is_directory))
        return creates ? EXISTS : IS_DIRECTORY;
    unsigned how = WRITE | CREATE | (creates ? EXCLUSIVE : TRUNCATE);
    Problem problem = host_open(place.folder, place.relative, how, &file);
    if (problem != FINE)
        return problem;
    problem = host_write(file, content);
    host_close(file);
    return problem;
}

static void append_status(Buffer *answer, Status status)
{
    append_word(answer, status.is_directory ? "\"kind\":\"directory\",\"size\":" : "\"kind\":\"file\",\"size\":");
    append_number(answer, status.is_directory ? 0 : status.size);
    append_word(answer, "}");
}

static Problem stat_path(Place place, Buffer *answer)
{
    Status status;
    Problem problem = status_of(place, true, &status);
    if (problem == FINE && !status.is_directory && !status.is_file)
        problem = NOT_FOUND;
    if (problem == FINE) {
        append_word(answer, "{");
        append_status(answer, status);
    }
    return problem;
}

static void sort(Names *names)
{
    for (uint32_t gap = names->count / 2; gap > 0; gap /= 2)
        for (uint32_t i = gap; i < names->count; i++) {
            Text name = names->items[i];
            uint32_t at = i;
            for (; at >= gap && compare(name, names->items[at - gap]) < 0; at -= gap)
                names->items[at] = names->items[at - gap];
            names->items[at] = name;
        }
}

static Problem names_in(Host host, Place place, Names *names)
{
    for (uint32_t i = 0; place.is_top && i < host.count; i++) {
        Text name = normal(host.roots[i].name);
        if (name.size > 1)
            add_name(names, name.data + 1, name.size - 1);
    }
    if (!place.exists)
        return place.is_top ? FINE : NOT_FOUND;
    uint32_t folder;
    Problem problem = must_be_directory(place);
    if (problem == FINE)
        problem = host_open(place.folder, place.relative, READ | DIRECTORY, &folder);
    if (problem == FINE) {
        problem = host_names(folder, names);
        host_close(folder);
    }
    return problem;
}

static Problem list_directory(Host host, Place place, Buffer *answer)
{
    Names names = {0};
    Problem problem = names_in(host, place, &names);
    if (problem != FINE)
        return problem;
    sort(&names);
    append_word(answer, "[");
    bool is_first = true;
    for (uint32_t i = 0; i < names.count; i++) {
        Buffer path = {0};
        Status status;
        append(&path, place.whole.data, place.whole.size);
        append(&path, "/", 1);
        append(&path, names.items[i].data, names.items[i].size);
        bool exists = status_of(placed(host, (Text){path.data, path.size}), true, &status) == FINE;
        if (!exists || (!status.is_file && !status.is_directory))
            continue;
        append_word(answer, is_first ? "{\"name\":" : ",{\"name\":");
        append_string(answer, names.items[i]);
        append_word(answer, ",");
        append_status(answer, status);
        is_first = false;
    }
    append_word(answer, "]");
    return FINE;
}

static Problem make_directory(Place place)
{
    if (place.is_top)
        return EXISTS;
    return place.exists ? host_make_directory(place.folder, place.relative) : DENIED;
}

static Problem remove_directory(Place place)
{
    Status status;
    Problem problem = status_of(place, false, &status);
    if (problem == FINE && !status.is_directory)
        problem = NOT_DIRECTORY;
    if (problem == FINE && (place.is_top || same(place.relative, ".")))
        problem = INVALID;
    return problem == FINE ? host_remove_directory(place.folder, place.relative) : problem;
}

static Problem remove_file(Place place)
{
    Status status;
    Problem problem = status_of(place, false, &status);
    if (problem == FINE && status.is_directory)
        problem = IS_DIRECTORY;
    return problem == FINE ? host_remove(place.folder, place.relative) : place.exists ? problem : DENIED;
}

static Problem rename_path(Host host, Place place, Text request)
{
    Text target;
    if (!json_string(request, "to", &target))
        return INVALID;
    Place to = placed(host, target);
    if (!place.exists || !to.exists)
        return NOT_FOUND;
    if (place.folder != to.folder)
        return CROSS_ROOT;
    return host_rename(place.folder, place.relative, to.folder, to.relative);
}

/* Carries out an operation on files; false where `op` is none. */
static bool carried_out(Host host, Text op, Text request, Text path, Buffer *answer, Problem *problem)
{
    Place place = placed(host, path);
    if (same(op, "files.read"))
        *problem = read_file(place, answer);
    else if (same(op, "files.write"))
        *problem = write_file(place, request);
    else if (same(op, "files.stat"))
        *problem = stat_path(place, answer);
    else if (same(op, "files.list"))
        *problem = list_directory(host, place, answer);
    else if (same(op, "files.remove"))
        *problem = remove_file(place);
    else if (same(op, "files.mkdir"))
        *problem = make_directory(place);
    else if (same(op, "files.rmdir"))
        *problem = remove_directory(place);
    else if (same(op, "files.rename"))
        *problem = rename_path(host, place, request);
    else
        return false;
    return true;
}

static Text failure(Text message, const char *kind)
{
    Buffer answer = {0};
    append_word(&answer, "{\"error\":");
    append_string(&answer, message);
    append_word(&answer, ",\"kind\":\"");
    append_word(&answer, kind);
    append_word(&answer, "\"}");
    return (Text){answer.data, answer.size};
}

Text answered(Text request)
{
    Text op = {0}, path = {0};
    Buffer answer = {0}, message = {0};
    Problem problem = INVALID;
    Host host;
    append_word(&answer, "{\"ok\":");
    uint32_t before = answer.size;
    json_string(request, "op", &op);
    json_string(request, "path", &path);
    host.count = host_roots(&host.roots);
    bool is_known = carried_out(host, op, request, path, &answer, &problem);
    host_release(host.roots, host.count);
    if (!is_known) {
        append(&message, op.data, op.size);
        append_word(&message, " is not available: this program runs on its own, without Metier");
        return failure((Text){message.data, message.size}, "unavailable");
    }
    if (problem != FINE) {
        Text whole = normal(path);
        append(&message, whole.data, whole.size);
        append_word(&message, ": ");
        for (const char *c = problem_names[problem]; *c != 0; c++)
            append(&message, *c == '_' ? " " : c, 1);
        return failure((Text){message.data, message.size}, problem_names[problem]);
    }
    append_word(&answer, answer.size == before ? "{}}" : "}");
    return (Text){answer.data, answer.size};
}
