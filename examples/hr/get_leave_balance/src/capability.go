// The leave balance of one employee: reads {"employee_id" and/or "name"} on stdin, prints the balance on stdout.
// A failure is {"error", "kind"} on stderr and exit status 1.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type leave struct {
	EmployeeID      string  `json:"employee_id"`
	Year            int     `json:"year"`
	EntitledDays    float64 `json:"entitled_days"`
	CarriedOverDays float64 `json:"carried_over_days"`
	TakenDays       float64 `json:"taken_days"`
	BookedDays      float64 `json:"booked_days"`
	SickDays        float64 `json:"sick_days"`
}

type input struct {
	EmployeeID *string `json:"employee_id"`
	Name       *string `json:"name"`
}

type output struct {
	EmployeeID      string  `json:"employee_id"`
	Name            string  `json:"name"`
	Year            int     `json:"year"`
	EntitledDays    float64 `json:"entitled_days"`
	CarriedOverDays float64 `json:"carried_over_days"`
	TakenDays       float64 `json:"taken_days"`
	BookedDays      float64 `json:"booked_days"`
	RemainingDays   float64 `json:"remaining_days"`
	SickDays        float64 `json:"sick_days"`
}

type failure struct {
	Message string `json:"error"`
	Kind    string `json:"kind"`
}

func main() {
	given, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail("invalid_input", "cannot read the input: "+err.Error())
	}
	var in *input // nil after null, which is JSON but no object
	decode(given, &in, "invalid_input", "the input")
	if in == nil {
		fail("invalid_input", "the input must be an object")
	}
	who := findPerson(readTable[person]("/hr/employees.json"), *in)
	for _, row := range readTable[leave]("/hr/leave.json") {
		if row.EmployeeID == who.ID {
			write(os.Stdout, balance(who, row))
			return
		}
	}
	fail("not_found", choices([]person{who})+" has no leave on record")
}

func balance(who person, row leave) output {
	return output{
		EmployeeID:      who.ID,
		Name:            who.Name,
		Year:            row.Year,
		EntitledDays:    row.EntitledDays,
		CarriedOverDays: row.CarriedOverDays,
		TakenDays:       row.TakenDays,
		BookedDays:      row.BookedDays,
		RemainingDays:   row.EntitledDays + row.CarriedOverDays - row.TakenDays - row.BookedDays,
		SickDays:        row.SickDays,
	}
}

// findPerson returns the one employee meant by the id, by the name, or by both; accents and case do not matter.
func findPerson(people []person, in input) person {
	if in.EmployeeID == nil && in.Name == nil {
		fail("invalid_input", "say who: employee_id or name")
	}
	var withID, found []person
	for _, p := range people {
		if in.EmployeeID != nil && !strings.EqualFold(p.ID, *in.EmployeeID) {
			continue
		}
		withID = append(withID, p)
		if in.Name == nil || names(words(*in.Name), words(p.Name)) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) > 1 && in.Name != nil:
		fail("ambiguous", `"`+*in.Name+`" is ambiguous: `+choices(found))
	case len(found) > 1:
		fail("ambiguous", `"`+*in.EmployeeID+`" is ambiguous: `+choices(found))
	case in.EmployeeID == nil:
		fail("not_found", `no employee "`+*in.Name+`"; the choices: `+choices(people))
	case len(withID) > 0:
		fail("conflict", *in.EmployeeID+` is not "`+*in.Name+`": `+choices(withID))
	}
	fail("not_found", `no employee "`+*in.EmployeeID+`"; the choices: `+choices(people))
	panic("unreachable")
}

// names tells whether there are wanted words and each of them is a word of the name.
func names(wanted, name []string) bool {
	have := map[string]bool{}
	for _, word := range name {
		have[word] = true
	}
	for _, word := range wanted {
		if !have[word] {
			return false
		}
	}
	return len(wanted) > 0
}

// base is U+00C0 to U+017F without case and accents; a dot where a letter has no such form.
const base = "aaaaaa.ceeeeiiii.nooooo..uuuuy..aaaaaa.ceeeeiiii.nooooo..uuuuy.y" +
	"aaaaaaccccccccdd..eeeeeeeeeegggggggghh..iiiiiiiii...jjkk.llllll." +
	"...nnnnnn...oooooo..rrrrrrsssssssstttt..uuuuuuuuuuuuwwyyyzzzzzzs"

// words splits a text into its words, without case and accents.
func words(text string) []string {
	var plain strings.Builder
	for _, r := range text {
		switch {
		case r >= 0x300 && r < 0x370: // a combining accent
		case r == 'ß' || r == 'ẞ':
			plain.WriteString("ss")
		case r >= 0xC0 && r < 0x180 && base[r-0xC0] != '.':
			plain.WriteByte(base[r-0xC0])
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_':
			plain.WriteRune(unicode.ToLower(r))
		default:
			plain.WriteByte(' ')
		}
	}
	return strings.Fields(plain.String())
}

func choices(people []person) string {
	listed := make([]string, len(people))
	for i, p := range people {
		listed[i] = p.Name + " (" + p.ID + ")"
	}
	return strings.Join(listed, ", ")
}

func readTable[Row any](path string) []Row {
	text, err := os.ReadFile(path)
	if err != nil {
		fail("file_error", "cannot read "+path+": "+err.Error())
	}
	var rows []Row
	decode(text, &rows, "file_error", path)
	return rows
}

func decode(text []byte, into any, kind, source string) {
	if !utf8.Valid(text) {
		fail(kind, source+" is not UTF-8")
	}
	if depth(text) > deepest {
		fail(kind, source+" is nested too deeply")
	}
	if err := json.Unmarshal(text, into); err != nil {
		fail(kind, source+" is not the JSON expected: "+err.Error())
	}
}

// deepest is far below what exhausts the stack of a wasm program; encoding/json alone would allow 10,000.
const deepest = 64

// depth returns how deeply lists and objects are nested in a JSON text.
func depth(text []byte) int {
	most, open, inString := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++ // what is escaped does not end the string
		case c == '"':
			inString = !inString
		case !inString && (c == '[' || c == '{'):
			open++
			most = max(most, open)
		case !inString && (c == ']' || c == '}'):
			open--
		}
	}
	return most
}

func fail(kind, message string) {
	write(os.Stderr, failure{message, kind})
	os.Exit(1)
}

func write(to io.Writer, value any) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	if _, err := to.Write(text.Bytes()); err != nil {
		os.Exit(1)
	}
}
