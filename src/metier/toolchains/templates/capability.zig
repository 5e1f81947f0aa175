const std = @import("std");
const metier = @import("metier");

const Input = struct { name: []const u8 }; // what may be left out: year: ?u16 = null
const Output = struct { name: []const u8, title: []const u8, salary: f64 };

const Employee = struct { id: []const u8, name: []const u8, title: []const u8 };
const Pay = struct { employee_id: []const u8, salary: f64 };

pub fn main() void {
    metier.run(Input, capability);
}

fn capability(input: Input) !Output {
    const employees = try metier.parse([]Employee, try metier.readFile("/hr/employees.json")); // a granted root is a folder
    const salaries = try metier.parse([]Pay, try metier.readFile("/hr/salaries.json"));
    for (employees) |employee| {
        if (!std.mem.eql(u8, employee.name, input.name)) continue;
        for (salaries) |pay| {
            if (!std.mem.eql(u8, pay.employee_id, employee.id)) continue;
            return .{ .name = employee.name, .title = employee.title, .salary = pay.salary };
        }
    }
    metier.fail("not_found", "no employee named {s} has a salary on record", .{input.name});
}
