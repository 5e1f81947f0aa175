;; Creates a file and fails: nothing of it may remain.
;; ends: trap
;; grant: write
(module {{ wasi("path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "new.txt")
  (func (export "_start") (drop {{ open("new.txt", oflags=1, rights=66) }}) (unreachable)))
