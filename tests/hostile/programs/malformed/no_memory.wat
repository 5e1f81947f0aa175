;; Has no memory for host calls to read from.
;; ends: refused
(module {{ wasi("fd_write") }} (func (export "_start")))
