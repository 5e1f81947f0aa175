export function run(input) {
  const employees = JSON.parse(host.readText("/hr/employees.json"));
  const employee = employees.find((person) => person.name === input.name);
  if (employee === undefined) {
    const names = employees.map((person) => person.name).join(", ");
    throw new host.Error(`no employee named ${input.name}; there are: ${names}`, "not_found");
  }
  const pay = host.call("get_salary_details", { employee_id: employee.id });
  return { name: employee.name, title: employee.title, salary: pay.salary };
}
