// The same as total.go, as a plug-in for Extism.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoadU8(at uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoadU64(at uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(size uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeU8(at uint64, value uint32)

//go:wasmimport extism:host/env output_set
func outputSet(at, size uint64)

func main() {}

//go:wasmexport total
func pluginTotal() int32 {
	size := inputLength()
	text := make([]byte, 0, size+8)
	at := uint64(0)
	for ; at+8 <= size; at += 8 {
		text = binary.LittleEndian.AppendUint64(text, inputLoadU64(at))
	}
	for ; at < size; at++ {
		text = append(text, byte(inputLoadU8(at)))
	}
	var input struct {
		Items []struct{ Price, Count int }
	}
	if err := json.Unmarshal(text, &input); err != nil {
		return 1
	}
	total := 0
	for _, item := range input.Items {
		total += item.Price * item.Count
	}
	out := fmt.Sprintf("{\"total\": %d}", total)
	answer := alloc(uint64(len(out)))
	for i := range len(out) {
		storeU8(answer+uint64(i), uint32(out[i]))
	}
	outputSet(answer, uint64(len(out)))
	return 0
}
