package main

import (
	"encoding/json"
	"os"

	"metier"
)

type input struct {
	Name string `json:"name"`
}

type employee struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title"`
}

type pay struct {
	EmployeeID string  `json:"employee_id"`
	Salary     float64 `json:"salary"`
}

type output struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Salary float64 `json:"salary"`
}

func main() { metier.Run(run) }

func read(path string, value any) error {
	text, err := os.ReadFile(path) // a granted root is a folder
	if err != nil {
		return err
	}
	return json.Unmarshal(text, value)
}

func run(in input) (output, error) {
	var employees []employee
	if err := read("/hr/employees.json", &employees); err != nil {
		return output{}, err
	}
	var pays []pay
	if err := read("/hr/salaries.json", &pays); err != nil {
		return output{}, err
	}
	for _, e := range employees {
		for _, p := range pays {
			if e.Name == in.Name && p.EmployeeID == e.ID {
				return output{e.Name, e.Title, p.Salary}, nil
			}
		}
	}
	return output{}, metier.Errorf("not_found", "no employee named %s has a salary on record", in.Name)
}
