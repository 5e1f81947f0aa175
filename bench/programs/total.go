// The sum of price × count over the items of a JSON text, as a WASI command.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	var input struct {
		Items []struct{ Price, Count int }
	}
	if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
		os.Exit(1)
	}
	total := 0
	for _, item := range input.Items {
		total += item.Price * item.Count
	}
	fmt.Printf("{\"total\": %d}\n", total)
}
