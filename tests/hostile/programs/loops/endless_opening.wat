;; Opens the same file for ever and closes none.
;; ends: time
;; limits: seconds=0.2 fuel=10**17
;; grant: read
(module {{ wasi("path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "a.txt")
  (func (export "_start") (loop (drop {{ open("a.txt") }}) (br 0))))
