;; Passes 3 everywhere: the first directory and unaligned pointers, to every function there is.
;; ends: contract|output|program
;; grant: write
(module {{ wasi() }} {{ metier() }} (memory (export "memory") 1) (func (export "_start") {{ all_with(3) }}))
