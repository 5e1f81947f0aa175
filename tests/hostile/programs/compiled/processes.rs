// Starts processes and threads and opens sockets with Rust's standard library.
// ends: contract|program|trap
// says: empty|status|panick|abort
fn main() {
    let mut got = Vec::new();
    if std::process::Command::new("/bin/sh").arg("-c").arg("touch /tmp/escaped").status().is_ok() { got.push("process"); }
    if std::thread::Builder::new().spawn(|| loop {}).is_ok() { got.push("thread"); }
    if std::net::TcpStream::connect("127.0.0.1:22").is_ok() { got.push("socket"); }
    if std::env::var("HOME").is_ok() || std::env::current_exe().is_ok() { got.push("environment"); }
    if !got.is_empty() { println!("{:?}", got); }
}
