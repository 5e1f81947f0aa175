const std = @import("std");
const metier = @import("metier");

const Input = struct { name: []const u8 };
const Output = struct { name: []const u8, title: []const u8, salary: f64 };

const Employee = struct { id: []const u8, name: []const u8, title: []const u8 };
const Pay = struct { salary: f64 };

pub fn main() void {
    metier.run(Input, capability);
}

fn capability(input: Input) !Output {
    const text = try metier.readFile("/hr/employees.json"); // a granted root is a folder
    for (try metier.parse([]Employee, text)) |employee| {
        if (!std.mem.eql(u8, employee.name, input.name)) continue;
        const pay = try metier.call(Pay, "get_salary_details", .{ .employee_id = employee.id });
        return .{ .name = employee.name, .title = employee.title, .salary = pay.salary };
    }
    metier.fail("not_found", "no employee named {s}", .{input.name});
}
