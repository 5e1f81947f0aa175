//! Metier for Zig: input and output as JSON, errors with a kind, and what a capability can ask of its host.
//!
//! One file over `std.json` and `std.os.wasi`. See README.md beside it.

const std = @import("std");
const wasi = std.os.wasi;

const import = struct {
    extern "metier" fn call(request: [*]const u8, size: usize) usize;
    extern "metier" fn read(answer: [*]u8) void;
};

/// Memory for a program that ends soon: nothing has to be freed.
pub const allocator = std.heap.wasm_allocator;

/// What `error.Refused` says when the host, or another capability, did not do what it was asked to.
pub const Failure = struct { kind: []const u8, message: []const u8 };
pub var failure: Failure = .{ .kind = "error", .message = "the host gave no reason" };

/// The whole of `main`: reads an `Input` from stdin and writes what `capability` returns to stdout. An error that it
/// returns ends the program: `error.Refused` as `failure`, any other one under its own name.
pub fn run(comptime Input: type, comptime capability: anytype) void {
    const text = readAll(0) catch |e| fail("invalid_input", "the input cannot be read: {t}", .{e});
    const input = parse(Input, text) catch |e| fail("invalid_input", "the input is not what is expected: {t}", .{e});
    const output = capability(input) catch |e| {
        if (e == error.Refused) fail(failure.kind, "{s}", .{failure.message});
        fail("error", "{t}", .{@as(anyerror, e)});
    };
    writeAll(1, print(output)) catch fail("output", "the output cannot be written", .{});
}

/// Ends the program with an error: one JSON object on stderr, exit status 1.
pub fn fail(kind: []const u8, comptime format: []const u8, arguments: anytype) noreturn {
    const message = std.fmt.allocPrint(allocator, format, arguments) catch "out of memory";
    writeAll(2, print(.{ .@"error" = message, .kind = kind })) catch {};
    wasi.proc_exit(1);
}

/// A JSON text as a `T`; members that it does not name are left out. `std.json.Value` takes anything.
pub fn parse(comptime T: type, text: []const u8) !T {
    return std.json.parseFromSliceLeaky(T, allocator, text, .{ .ignore_unknown_fields = true });
}

/// A value as JSON text.
pub fn print(value: anytype) []const u8 {
    return std.json.Stringify.valueAlloc(allocator, value, .{}) catch @panic("out of memory");
}

/// Runs another capability and returns its output.
pub fn call(comptime T: type, capability: []const u8, input: anytype) !T {
    return request(T, "call", .{ .capability = capability, .input = input });
}

pub const Response = struct { status: u16, headers: std.json.Value, body: []const u8 };

/// GETs a URL and returns what the host gives as a `T`, such as a `Response`.
pub fn httpGet(comptime T: type, url: []const u8) !T {
    return httpRequest(T, "GET", url, .{}, null);
}

/// Sends a request. `headers` is a struct of strings; `body` is a string, null, or any other value, which is sent as JSON.
pub fn httpRequest(comptime T: type, method: []const u8, url: []const u8, headers: anytype, body: anytype) !T {
    const as_is = comptime @TypeOf(body) == @TypeOf(null) or isText(@TypeOf(body));
    var sent = try parse(std.json.Value, print(object(headers)));
    const typed = for (sent.object.keys()) |name| {
        if (std.ascii.eqlIgnoreCase(name, "Content-Type")) break true;
    } else false;
    if (!as_is and !typed) try sent.object.put(allocator, "Content-Type", .{ .string = "application/json" });
    const text: ?[]const u8 = if (as_is) body else print(body);
    return request(T, "http.request", .{ .method = method, .url = url, .headers = sent, .body = text });
}

/// Runs one SQL statement on a store that the operator named. `parameters` is a tuple or a struct.
pub fn sql(comptime T: type, store: []const u8, statement: []const u8, parameters: anytype) !T {
    const given = if (@typeInfo(@TypeOf(parameters)).@"struct".is_tuple) parameters else object(parameters);
    return request(T, "sql.query", .{ .store = store, .statement = statement, .parameters = given });
}

/// Asks for an effect by its name; `fields` is a struct of what belongs to it.
pub fn request(comptime T: type, op: []const u8, fields: anytype) !T {
    const told = try parse(std.json.Value, callJson(withOp(op, print(object(fields)))));
    if (told.object.get("ok")) |value| {
        return std.json.parseFromValueLeaky(T, allocator, value, .{ .ignore_unknown_fields = true });
    }
    if (told.object.get("kind")) |kind| failure.kind = kind.string;
    if (told.object.get("error")) |message| failure.message = message.string;
    return error.Refused;
}

/// Passes one request, a JSON text, through the effect door: `{"ok": value}` or `{"error": …, "kind": …}`.
pub fn callJson(text: []const u8) []const u8 {
    const size = import.call(text.ptr, text.len);
    const answer = allocator.alloc(u8, size + 1) catch @panic("out of memory"); // never empty, so that it has an address
    import.read(answer.ptr);
    return answer[0..size];
}

/// The whole of a file under a granted root: `readFile("/hr/employees.json")`.
pub fn readFile(path: []const u8) ![]u8 {
    const file = try open(path, .{}, .{ .FD_READ = true, .FD_SEEK = true });
    defer _ = wasi.fd_close(file);
    return readAll(file);
}

/// Writes a file under a granted root, in place of one that was there.
pub fn writeFile(path: []const u8, content: []const u8) !void {
    const file = try open(path, .{ .CREAT = true, .TRUNC = true }, .{ .FD_WRITE = true });
    defer _ = wasi.fd_close(file);
    try writeAll(file, content);
}

/// `{}` of no members is a tuple to Zig and would be printed as a list.
fn object(fields: anytype) if (@typeInfo(@TypeOf(fields)).@"struct".field_names.len == 0) std.json.Value else @TypeOf(fields) {
    if (@typeInfo(@TypeOf(fields)).@"struct".field_names.len == 0) return .{ .object = .empty };
    return fields;
}

fn isText(comptime T: type) bool {
    return switch (@typeInfo(T)) {
        .pointer => |p| p.child == u8 or (@typeInfo(p.child) == .array and @typeInfo(p.child).array.child == u8),
        .optional => |o| isText(o.child),
        else => false,
    };
}

fn withOp(op: []const u8, fields: []const u8) []const u8 {
    const comma = if (fields.len > 2) "," else "";
    return std.fmt.allocPrint(allocator, "{{\"op\":{s}{s}{s}", .{ print(op), comma, fields[1..] }) catch @panic("out of memory");
}

fn open(path: []const u8, how: wasi.oflags_t, rights: wasi.rights_t) !wasi.fd_t {
    var root: wasi.fd_t = 3;
    while (true) : (root += 1) {
        var about: wasi.prestat_t = undefined;
        if (wasi.fd_prestat_get(root, &about) != .SUCCESS) return error.FileNotFound;
        const name = try allocator.alloc(u8, about.u.dir.pr_name_len);
        if (wasi.fd_prestat_dir_name(root, name.ptr, name.len) != .SUCCESS) return error.FileNotFound;
        if (path.len > name.len and std.mem.startsWith(u8, path, name) and path[name.len] == '/') {
            const rest = path[name.len + 1 ..];
            var file: wasi.fd_t = undefined;
            return switch (wasi.path_open(root, .{}, rest.ptr, rest.len, how, rights, .{}, .{}, &file)) {
                .SUCCESS => file,
                .NOENT => error.FileNotFound,
                .ACCES, .PERM, .NOTCAPABLE => error.AccessDenied,
                else => error.CannotOpen,
            };
        }
    }
}

fn readAll(file: wasi.fd_t) ![]u8 {
    var text = try allocator.alloc(u8, 4096);
    var size: usize = 0;
    while (true) {
        if (size == text.len) text = try allocator.realloc(text, text.len * 2);
        const free = text[size..];
        var got: usize = 0;
        const into = [_]std.posix.iovec{.{ .base = free.ptr, .len = free.len }};
        if (wasi.fd_read(file, &into, 1, &got) != .SUCCESS) return error.CannotRead;
        if (got == 0) return text[0..size];
        size += got;
    }
}

fn writeAll(file: wasi.fd_t, text: []const u8) !void {
    var left = text;
    while (left.len > 0) {
        var written: usize = 0;
        const from = [_]std.posix.iovec_const{.{ .base = left.ptr, .len = left.len }};
        if (wasi.fd_write(file, &from, 1, &written) != .SUCCESS) return error.CannotWrite;
        left = left[written..];
    }
}
