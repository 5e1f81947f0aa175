package main

import (
	"encoding/json"
	"math"
	"os"

	"metier"
)

type input struct {
	Name     string `json:"name"`
	Currency string `json:"currency"`
}

type output struct {
	Name     string  `json:"name"`
	Salary   float64 `json:"salary"`
	Currency string  `json:"currency"`
}

func main() { metier.Run(run) }

func run(in input) (output, error) {
	var employees []struct{ ID, Name string }
	var salaries []struct {
		EmployeeID string `json:"employee_id"`
		Salary     float64
		Currency   string
	}
	var exchange struct{ Rates map[string]float64 }
	for name, into := range map[string]any{"employees": &employees, "salaries": &salaries, "exchange_rates": &exchange} {
		text, err := os.ReadFile("/hr/" + name + ".json")
		if err != nil {
			return output{}, err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return output{}, err
		}
	}
	rate, known := exchange.Rates[in.Currency]
	if !known {
		return output{}, metier.Errorf("unknown_currency", "no rate for %s", in.Currency)
	}
	for _, e := range employees {
		for _, s := range salaries {
			if e.Name == in.Name && s.EmployeeID == e.ID {
				salary := s.Salary / exchange.Rates[s.Currency] * rate
				return output{in.Name, math.Round(salary*100) / 100, in.Currency}, nil
			}
		}
	}
	return output{}, metier.Errorf("not_found", "no employee named %s", in.Name)
}
