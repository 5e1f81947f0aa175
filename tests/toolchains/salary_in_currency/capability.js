const read = (name) => JSON.parse(host.readText(`/hr/${name}.json`));

export function run({ name, currency }) {
  const person = read("employees").find((employee) => employee.name === name);
  if (person === undefined) throw new host.Error(`no employee named ${name}`, "not_found");
  const { rates } = read("exchange_rates");
  if (!Object.hasOwn(rates, currency)) throw new host.Error(`no rate for ${currency}`, "unknown_currency");
  const pay = read("salaries").find(({ employee_id }) => employee_id === person.id);
  const salary = (pay.salary / rates[pay.currency]) * rates[currency];
  return { name: person.name, salary: Math.round(salary * 100) / 100, currency };
}
