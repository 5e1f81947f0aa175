;; Points everything at the last byte of the memory, to every function there is.
;; ends: contract|output|program
;; grant: write
(module {{ wasi() }} {{ metier() }} (memory (export "memory") 1) (func (export "_start") {{ all_with(65535) }}))
