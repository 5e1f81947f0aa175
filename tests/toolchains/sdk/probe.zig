// Uses every part of the module. What it prints is the same in every language.
const std = @import("std");
const metier = @import("metier");
const Json = std.json.Value;

pub fn main() void {
    metier.run(Json, probe);
}

fn probe(input: Json) !Json {
    if (input.object.get("fail")) |fail| {
        if (std.mem.eql(u8, fail.string, "own")) metier.fail("own_kind", "no \"{s}\", {d} times", .{ "luck", 3 });
        return metier.httpGet(Json, "https://denied.example.com/");
    }
    var out: Json = .{ .object = .empty };
    try put(&out, "called", try metier.call(Json, "get_salary_details", .{ .name = "John" }));
    try put(&out, "got", try metier.httpGet(Json, "https://api.example.com/"));
    const tags = .{ null, true, 0.1 };
    const note = .{ .note = "a \"b\"\n\x01", .tags = tags };
    const posted = metier.httpRequest(Json, "POST", "https://api.example.com/notes", .{ .@"X-Trace" = "7" }, note);
    try put(&out, "posted", try posted);
    try put(&out, "rows", try metier.sql(Json, "hr", "SELECT ?, ?", .{ -7, "é" }));
    if (metier.httpGet(Json, "https://denied.example.com/")) |_| unreachable else |_| {}
    try put(&out, "denied", try value(.{ .kind = metier.failure.kind, .message = metier.failure.message }));
    try put(&out, "nothing", try metier.request(Json, "nothing", .{}));
    try put(&out, "raw", try metier.parse(Json, metier.callJson("[]")));
    const people = try metier.parse([]Json, try metier.readFile("/hr/employees.json"));
    try put(&out, "people", .{ .integer = @intCast(people.len) });

    const numbers = input.object.get("numbers").?.array.items;
    try put(&out, "looks", try value(.{
        numbers[0].integer,
        @as(i64, @trunc(numbers[1].float)),
        numbers[2].float,
        if (numbers.len > 99) numbers[99].integer else -1,
        input.object.get("flag").?.bool,
        input.object.get("missing") == null,
    }));
    var broken: [10]usize = undefined;
    var found: usize = 0;
    for ([_][]const u8{ "", "[1,]", "{\"a\" 1}", "\"\\x\"", "01", "1 2", "\"\n\"", "nul", "[1", "-" }, 0..) |text, i| {
        if (metier.parse(Json, text)) |_| {} else |_| {
            broken[found] = i;
            found += 1;
        }
    }
    try put(&out, "broken", try value(broken[0..found]));
    try put(&out, "input", input);
    return out;
}

fn put(into: *Json, key: []const u8, member: Json) !void {
    try into.object.put(metier.allocator, key, member);
}

fn value(of: anytype) !Json {
    return metier.parse(Json, metier.print(of));
}
