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

type output struct {
	Name   string  `json:"name"`
	Title  string  `json:"title"`
	Salary float64 `json:"salary"`
}

func main() { metier.Run(run) }

func run(in input) (output, error) {
	text, err := os.ReadFile("/hr/employees.json") // a granted root is a folder
	if err != nil {
		return output{}, err
	}
	var employees []employee
	if err := json.Unmarshal(text, &employees); err != nil {
		return output{}, err
	}
	for _, e := range employees {
		if e.Name == in.Name {
			out := output{Name: e.Name, Title: e.Title}
			err := metier.Call("get_salary_details", map[string]string{"employee_id": e.ID}, &out)
			return out, err
		}
	}
	return output{}, metier.Errorf("not_found", "no employee named %s", in.Name)
}
