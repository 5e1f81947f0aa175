const read = (table) => JSON.parse(host.readText(`/hr/${table}.json`)); // a granted root is a folder

export function run(input) {
  const employees = read("employees");
  const employee = employees.find((person) => person.name === input.name);
  if (employee === undefined) {
    const names = employees.map((person) => person.name).join(", ");
    throw new host.Error(`no employee named ${input.name}; there are: ${names}`, "not_found");
  }
  const pay = read("salaries").find((row) => row.employee_id === employee.id);
  if (pay === undefined) throw new host.Error(`${employee.name} has no salary on record`, "not_found");
  return { name: employee.name, title: employee.title, salary: pay.salary };
}
