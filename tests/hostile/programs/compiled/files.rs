// Reads and lists files outside with Rust's standard library.
// ends: contract
// says: empty
// grant: write
use std::fs;
fn main() {
    for path in ["/docs/../canary/secret.txt", "../canary/secret.txt", "/etc/passwd", "/proc/self/environ", "/docs/link.txt", "/docs/hard.txt",
                 "/docs/folder/secret.txt", "/docs/pipe", "/docs/device", "/docs/zero"] {
        if let Ok(text) = fs::read(path) { println!("{:?}", (path, text.len())); return; }
        if fs::write(path, "owned").is_ok() && path.contains("canary") { println!("{:?}", path); return; }
        if fs::remove_file(path).is_ok() && path.contains("..") { println!("{:?}", path); return; }
    }
}
