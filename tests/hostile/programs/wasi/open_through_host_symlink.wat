;; Opens a file through a folder that is a symbolic link of the host.
;; ends: program
;; says: status (44|32|54|63)
;; grant: read
(module {{ wasi("proc_exit", "path_open") }} (memory (export "memory") 1) (data (i32.const 4096) "folder/secret.txt")
  (func (export "_start")
    (call $proc_exit {{ open("folder/secret.txt") }})))
