//go:build wasip1

// Package metier is what a capability in Go needs: input and output as JSON, errors with a kind, and what it can ask of
// its host. Files need nothing of this: os.ReadFile works on the granted roots.
package metier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unsafe"
)

//go:wasmimport metier call
func hostCall(request unsafe.Pointer, size uint32) uint32

//go:wasmimport metier read
func hostRead(answer unsafe.Pointer)

// Error is a failure with a kind. Return it to fail with that kind; the host's refusals and failures arrive as it.
type Error struct {
	Message string `json:"error"`
	Kind    string `json:"kind"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an error of a kind.
func Errorf(kind, format string, arguments ...any) error {
	return &Error{Message: fmt.Sprintf(format, arguments...), Kind: kind}
}

// KindOf returns the kind of an error from this package, and "" for any other.
func KindOf(err error) string {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Kind
	}
	return ""
}

// Run is the whole of main: it reads the input from stdin, and writes the output to stdout or ends with the failure.
func Run[Input, Output any](capability func(Input) (Output, error)) {
	var input Input
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(text, &input)
	}
	if err != nil {
		Fail("invalid_input", "the input is not what is expected: %s", err)
	}
	output, err := capability(input)
	if err != nil {
		FailWith(err)
	}
	text, err = encode(output)
	if err != nil {
		Fail("output", "the output cannot be written as JSON: %s", err)
	}
	if _, err := os.Stdout.Write(text); err != nil {
		FailWith(err)
	}
}

// Fail ends the program with an error of a kind: one JSON object on stderr and exit status 1.
func Fail(kind, format string, arguments ...any) {
	FailWith(Errorf(kind, format, arguments...))
}

// FailWith ends the program with an error, of kind "error" where it has none of its own.
func FailWith(err error) {
	kind := KindOf(err)
	if kind == "" {
		kind = "error"
	}
	text, _ := encode(Error{Message: err.Error(), Kind: kind})
	os.Stderr.Write(append(text, '\n'))
	os.Exit(1)
}

// Call runs another capability and decodes its output into output, a pointer.
func Call(capability string, input, output any) error {
	return Request("call", map[string]any{"capability": capability, "input": input}, output)
}

// HTTPGet gets a URL and decodes what the host gives into response, a pointer.
func HTTPGet(url string, response any) error {
	return HTTPRequest("GET", url, nil, nil, response)
}

// HTTPRequest sends a request and decodes what the host gives into response, a pointer. A body is a string, nil, or any
// other value, which is sent as JSON.
func HTTPRequest(method, url string, headers map[string]string, body, response any) error {
	sent, typed := map[string]string{}, false
	for name, value := range headers {
		sent[name] = value
		typed = typed || strings.EqualFold(name, "Content-Type")
	}
	if _, isText := body.(string); body != nil && !isText {
		text, err := encode(body)
		if err != nil {
			return err
		}
		body = string(text)
		if !typed {
			sent["Content-Type"] = "application/json"
		}
	}
	return Request("http.request", map[string]any{"method": method, "url": url, "headers": sent, "body": body}, response)
}

// SQL runs one statement on a store that the operator named and decodes the host's result into result, a pointer.
func SQL(store, statement string, result any, parameters ...any) error {
	if parameters == nil {
		parameters = []any{}
	}
	return Request("sql.query", map[string]any{"store": store, "statement": statement, "parameters": parameters}, result)
}

// Request asks for an effect by its name; fields are what belongs to it. The value is decoded into result, a pointer.
func Request(op string, fields map[string]any, result any) error {
	asked := map[string]any{"op": op}
	for name, value := range fields {
		asked[name] = value
	}
	request, err := encode(asked)
	if err != nil {
		return err
	}
	var told struct {
		OK      json.RawMessage `json:"ok"`
		Message string          `json:"error"`
		Kind    string          `json:"kind"`
	}
	if err := json.Unmarshal(CallJSON(request), &told); err != nil {
		return err
	}
	if told.OK == nil {
		return &Error{Message: told.Message, Kind: told.Kind}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(told.OK, result)
}

// CallJSON passes one request, a JSON text, through the effect door: {"ok": value} or {"error": …, "kind": …}.
func CallJSON(request []byte) []byte {
	size := hostCall(unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)))
	answer := make([]byte, size+1) // never empty, so that it has an address
	hostRead(unsafe.Pointer(unsafe.SliceData(answer)))
	return answer[:size]
}

// encode writes JSON as the other SDKs do: without escapes for HTML.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
