// Uses every part of the package. What it prints is the same in every language.
package main

import (
	"encoding/json"
	"os"

	"metier"
)

type input struct {
	Fail    string            `json:"fail"`
	Numbers []json.RawMessage `json:"numbers"`
	Flag    bool              `json:"flag"`
}

func main() { metier.Run(probe) }

func probe(whole json.RawMessage) (map[string]any, error) {
	var in input
	if err := json.Unmarshal(whole, &in); err != nil {
		return nil, err
	}
	switch in.Fail {
	case "own":
		metier.Fail("own_kind", "no \"%s\", %d times", "luck", 3)
	case "host":
		return nil, metier.HTTPGet("https://denied.example.com/", nil)
	}
	var called, got, posted, rows, raw json.RawMessage
	nothing := json.RawMessage("1")
	body := struct {
		Note string `json:"note"`
		Tags []any  `json:"tags"`
	}{"a \"b\"\n\x01", []any{nil, true, 0.1}}
	headers := map[string]string{"X-Trace": "7"}
	for _, err := range []error{
		metier.Call("get_salary_details", map[string]any{"name": "John"}, &called),
		metier.HTTPGet("https://api.example.com/", &got),
		metier.HTTPRequest("POST", "https://api.example.com/notes", headers, body, &posted),
		metier.SQL("hr", "SELECT ?, ?", &rows, -7, "é"),
		metier.Request("nothing", nil, &nothing),
		json.Unmarshal(metier.CallJSON([]byte("[]")), &raw),
	} {
		if err != nil {
			return nil, err
		}
	}
	denied := metier.HTTPGet("https://denied.example.com/", nil)
	text, err := os.ReadFile("/hr/employees.json")
	if err != nil {
		return nil, metier.Errorf("file_error", "cannot read: %s", err)
	}
	var people []any
	if err := json.Unmarshal(text, &people); err != nil {
		return nil, err
	}
	return map[string]any{
		"called": called, "got": got, "posted": posted, "rows": rows, "nothing": nothing, "raw": raw,
		"denied": map[string]string{"kind": metier.KindOf(denied), "message": denied.Error()},
		"people": len(people),
		"looks":  []any{in.Numbers[0], 1000, in.Numbers[2], -1, in.Flag, true},
		"broken": []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, // Go's own parser is used
		"input":  whole,
	}, nil
}
