;; Uses every descriptor from 0 to 20 for everything that takes one.
;; ends: contract|output|program
;; grant: write
(module {{ wasi() }} (memory (export "memory") 1)
  (func (export "_start") (local i32)
    (loop
      {% for name in ["fd_sync", "fd_datasync"] %}(drop (call ${{ name }} (local.get 0))){% endfor %}
      {% for name in ["fd_fdstat_get", "fd_filestat_get", "fd_prestat_get", "fd_tell", "fd_renumber"] %}
      (drop (call ${{ name }} (local.get 0) (i32.const 64))){% endfor %}
      (drop (call $fd_read (local.get 0) (i32.const 128) (i32.const 4) (i32.const 64)))
      (drop (call $fd_write (local.get 0) (i32.const 128) (i32.const 4) (i32.const 64)))
      (drop (call $fd_readdir (local.get 0) (i32.const 256) (i32.const 4000) (i64.const -1) (i32.const 64)))
      (drop (call $fd_seek (local.get 0) (i64.const -9223372036854775808) (i32.const 2) (i32.const 64)))
      (drop (call $fd_allocate (local.get 0) (i64.const -1) (i64.const -1)))
      (drop (call $fd_filestat_set_times (local.get 0) (i64.const -1) (i64.const -1) (i32.const 5)))
      (drop (call $path_symlink (i32.const 0) (i32.const 1) (local.get 0) (i32.const 0) (i32.const 1)))
      (drop (call $fd_close (local.get 0)))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 20))))))
