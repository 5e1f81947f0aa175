const std = @import("std");
const metier = @import("metier");

const Input = struct { name: []const u8, currency: []const u8 };
const Output = struct { name: []const u8, salary: f64, currency: []const u8 };

const Employee = struct { id: []const u8, name: []const u8 };
const Pay = struct { employee_id: []const u8, salary: f64, currency: []const u8 };
const Exchange = struct { rates: std.json.ArrayHashMap(f64) };

pub fn main() void {
    metier.run(Input, capability);
}

fn capability(input: Input) !Output {
    const exchange = try table(Exchange, "exchange_rates");
    const person = for (try table([]Employee, "employees")) |e| {
        if (std.mem.eql(u8, e.name, input.name)) break e;
    } else metier.fail("not_found", "no employee named {s}", .{input.name});
    const rate = exchange.rates.map.get(input.currency) orelse
        metier.fail("unknown_currency", "no rate for {s}", .{input.currency});
    const pay = for (try table([]Pay, "salaries")) |s| {
        if (std.mem.eql(u8, s.employee_id, person.id)) break s;
    } else metier.fail("not_found", "{s} has no salary on record", .{input.name});
    const salary = pay.salary / exchange.rates.map.get(pay.currency).? * rate;
    return .{ .name = person.name, .salary = @round(salary * 100) / 100, .currency = input.currency };
}

fn table(comptime T: type, name: []const u8) !T {
    const path = try std.fmt.allocPrint(metier.allocator, "/hr/{s}.json", .{name});
    return metier.parse(T, try metier.readFile(path));
}
